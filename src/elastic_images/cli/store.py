"""`store`: which object store belongs to the system."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from elastic_images.cli.errors import FAILED
from elastic_images.cli.existing_system import require_system
from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import print_json
from elastic_images.core.errors import Conflict, InvalidRequest
from elastic_images.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from elastic_images.storage.upkeep.adoption import Standing


@click.group()
def store() -> None:
    """Show or change which object store belongs to the system.

    The database and the object store carry the same random id. While they do not, as with an unmounted disk or a wrong
    bucket, nothing is written, and no system starts.
    """


@store.command()
@json_option
@settings_options("data", "database", "object_store")
def status(as_json: bool, settings: Settings) -> None:
    """Compare the ids of the database and the object store. The exit code is 1 if the store is not this system's.

    JSON: {"object_store", "state": "present", "new", "empty", "other" or "unmarked", "store_id", "expected_id",
    "images", "sampled", "found", "detail"}
    """
    with _engine(settings) as engine:
        found = _standing(engine, settings)
    if as_json:
        print_json(asdict(found))
    else:
        click.echo(found.detail)
        click.echo(_sampled(found))
    if found.state not in ("present", "new"):
        sys.exit(FAILED)


@store.command()
@click.option("--yes", is_flag=True, help="Do it; otherwise the command only says what it would do.")
@settings_options("data", "database", "object_store")
def adopt(yes: bool, settings: Settings) -> None:
    """Make the object store that the settings name this system's store, whatever it holds.

    Images whose bytes it lacks are lost. Database and store get a new id, so the former store is refused should it come
    back. The system may be running; it notices within seconds.
    """
    from elastic_images.database.migrate import newest_revision, revision_of
    from elastic_images.storage.objects.from_url import open_object_store
    from elastic_images.storage.upkeep.adoption import adopt as make_own

    with _engine(settings) as engine:
        if revision_of(engine) != newest_revision():
            raise Conflict(
                "The database is of another version than this program. Run `elastic-images prepare` or start the "
                "system once: it upgrades the database even if it then refuses the object store."
            )
        found = _standing(engine, settings)
        if found.state == "present":
            click.echo(f"{found.detail} There is nothing to do.")
            return
        if not yes:
            raise InvalidRequest(
                f"{settings.object_store} would become this system's object store. {_sampled(found)} "
                "Images whose bytes it lacks are lost. To do it, give --yes."
            )
        make_own(engine, open_object_store(settings.object_store))
    click.echo(f"{settings.object_store} is this system's object store from now on. {_sampled(found)}")
    if found.found < found.sampled:
        click.echo("`elastic-images fsck` lists the images whose bytes it lacks.")


@contextlib.contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    from elastic_images.database.explained import explained_engine

    require_system(settings)
    with explained_engine(settings.database) as engine:
        yield engine


def _standing(engine: Engine, settings: Settings) -> Standing:
    from elastic_images.storage.objects.from_url import open_object_store
    from elastic_images.storage.upkeep.adoption import standing

    return standing(engine, open_object_store(settings.object_store), settings.object_store)


def _sampled(found: Standing) -> str:
    if not found.images:
        return "The catalog has no images."
    return f"Of {found.images} images, {found.sampled} were looked for; it has the bytes of {found.found}."
