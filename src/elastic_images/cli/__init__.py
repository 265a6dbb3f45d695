"""The command line: `elastic-images`.

Each module has one group of commands and imports what it needs when a command runs, so that `--help` is quick and
`serve memcache` loads nothing of the database.

Exit codes: 0 done; 1 failed; 2 wrong usage, or a value that makes no sense; 3 there is no such thing; 4 refused: no
valid token, or not allowed; 5 something does not answer, try again; 6 it exists already, is in use, or has changed
meanwhile; 7 the image is not accepted.
"""

from __future__ import annotations

import click

from elastic_images.cli.accounts import token, user
from elastic_images.cli.aws import aws
from elastic_images.cli.doctor import doctor
from elastic_images.cli.errors import Program
from elastic_images.cli.fsck import fsck
from elastic_images.cli.images import get, ls, rm, upload
from elastic_images.cli.migrate import migrate
from elastic_images.cli.pool import pool
from elastic_images.cli.prepare import prepare
from elastic_images.cli.serve import serve
from elastic_images.cli.transfer.export import export
from elastic_images.cli.transfer.import_ import import_
from elastic_images.cli.up import up

EXIT_CODES = """\b
Exit codes:
  0  done
  1  failed
  2  wrong usage, or a value that makes no sense
  3  there is no such thing
  4  refused: no valid token, or not allowed
  5  something does not answer; trying again may help
  6  it exists already, is in use, or has changed meanwhile
  7  the image is not accepted
"""


@click.group(cls=Program, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="elastic-images", prog_name="elastic-images")
def main() -> None:
    """Elastic Images: an image store whose cache grows and shrinks with its load.

    `elastic-images up` starts everything on this machine. The other commands talk to a system that runs; on the same
    machine they find it, and a token for it, by its data folder (--data, ./data by default).
    """


for _command in (
    up,
    serve,
    prepare,
    upload,
    get,
    ls,
    rm,
    import_,
    export,
    pool,
    user,
    token,
    fsck,
    migrate,
    doctor,
    aws,
):
    main.add_command(_command)

__all__ = ["main"]
