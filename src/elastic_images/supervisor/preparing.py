"""Runs `elastic-images prepare` before the apps start: secrets, database schema, first administrator."""

from __future__ import annotations

import json
import logging
import subprocess
from dataclasses import dataclass

from elastic_images.core.errors import ElasticImagesError, InvalidRequest, Unavailable
from elastic_images.settings import Settings
from elastic_images.supervisor.processes import command

_log = logging.getLogger(__name__)
UNREACHABLE_EXIT_CODE = 5
WRONG_SETTING_EXIT_CODE = 2


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


def prepare(settings: Settings) -> Prepared:
    """Run `elastic-images prepare` with these settings and wait for it.

    Raises:
        Unavailable: the database or the object store cannot be used; the process has said why.
        InvalidRequest: a setting names something that does not exist; the process printed which.
        NotPrepared: something else is wrong.
    """
    environ = settings.to_environ()
    if settings.admin_password:
        environ["ELASTIC_IMAGES_ADMIN_PASSWORD"] = settings.admin_password
    process = subprocess.run(  # noqa: S603  (our own program)
        command("prepare"), env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
    )
    if process.returncode == UNREACHABLE_EXIT_CODE:
        raise Unavailable("The system cannot start, for the reason above.")
    if process.returncode == WRONG_SETTING_EXIT_CODE:
        raise InvalidRequest("The system cannot start with these settings.")
    if process.returncode != 0:
        raise NotPrepared("The system cannot start, for the reason above.")
    told = json.loads(process.stdout)
    return Prepared(administrator=told["administrator"], first_start=told["first_start"])
