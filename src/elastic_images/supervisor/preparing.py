"""Runs `elastic-images prepare` before the apps start: secrets, database schema, first administrator."""

from __future__ import annotations

import json
import logging
import subprocess
from dataclasses import dataclass

from elastic_images.core.errors import Conflict, ElasticImagesError, Forbidden, InvalidRequest, Unavailable
from elastic_images.settings import Settings
from elastic_images.supervisor.processes import command

_log = logging.getLogger(__name__)
_ERRORS: dict[int, type[ElasticImagesError]] = {2: InvalidRequest, 4: Forbidden, 5: Unavailable, 6: Conflict}
"""By the exit code of the process (`cli.EXIT_CODES`)."""


class NotPrepared(ElasticImagesError):
    """The preparing process failed; it printed why."""

    slug, title = "not-prepared", "Not prepared"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The result of the preparing process."""

    administrator: str
    """The first administrator's name."""
    first_start: bool
    """Whether the administrator was created just now."""
    upgraded: dict[str, str | None] | None = None
    """`before` and `after`, if the schema was upgraded just now, and `copy`, the file as it was before."""


def prepare(settings: Settings, *, check_database: bool = False) -> Prepared:
    """Run `elastic-images prepare` with these settings and wait for it. `check_database`: for damage, at first.

    Raises:
        ElasticImagesError: it failed, and printed why.
    """
    environ = settings.to_environ()
    if settings.admin_password:
        environ["ELASTIC_IMAGES_ADMIN_PASSWORD"] = settings.admin_password
    words = [*command("prepare"), *(["--check-database"] if check_database else [])]
    process = subprocess.run(  # noqa: S603  (our own program)
        words, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
    )
    if process.returncode != 0:
        raise _ERRORS.get(process.returncode, NotPrepared)("The system cannot start, for the reason above.")
    told = json.loads(process.stdout)
    return Prepared(told["administrator"], told["first_start"], told["upgraded"])
