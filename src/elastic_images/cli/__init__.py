"""The command line: `elastic-images`.

Each module holds one command or group and imports what it needs when a command runs: `--help` is quick, and
`serve memcache` loads no database code. `EXIT_CODES` lists the exit codes.
"""

from __future__ import annotations

import click

from elastic_images.cli.accounts import token, user
from elastic_images.cli.aws import aws
from elastic_images.cli.backup import backup, restore
from elastic_images.cli.changes import mv, visibility
from elastic_images.cli.doctor import doctor
from elastic_images.cli.errors import Program
from elastic_images.cli.fsck import fsck
from elastic_images.cli.images import get, ls, rm, upload
from elastic_images.cli.imaging import imaging
from elastic_images.cli.links import link, links
from elastic_images.cli.migrate import migrate
from elastic_images.cli.pool import pool
from elastic_images.cli.prepare import prepare
from elastic_images.cli.reload import reload
from elastic_images.cli.scrub import scrub
from elastic_images.cli.serve import serve
from elastic_images.cli.store import store
from elastic_images.cli.transfer.export import export
from elastic_images.cli.transfer.import_ import import_
from elastic_images.cli.trash import trash
from elastic_images.cli.up import up
from elastic_images.cli.version import version

EXIT_CODES = """\b
Exit codes:
  0  success
  1  failure
  2  wrong usage or invalid value
  3  not found
  4  refused: no valid token, or not permitted
  5  no answer, or temporarily unavailable; try again later
  6  conflict: already exists, is in use, or has changed
  7  image not accepted
"""


@click.group(cls=Program, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="elastic-images", prog_name="elastic-images")
def main() -> None:
    """Elastic Images: an image store whose cache grows and shrinks with its load.

    `elastic-images up` starts everything on this machine. The other commands talk to a running system. On the
    same machine they find it, and a token, through its data folder (--data, ./data by default).
    """


for _command in (
    up,
    reload,
    serve,
    imaging,
    prepare,
    upload,
    get,
    ls,
    mv,
    visibility,
    link,
    links,
    rm,
    trash,
    import_,
    export,
    pool,
    user,
    token,
    fsck,
    store,
    scrub,
    backup,
    restore,
    migrate,
    doctor,
    version,
    aws,
):
    main.add_command(_command)

__all__ = ["main"]
