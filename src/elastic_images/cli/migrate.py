"""`migrate`: copies a system to another object store, another database, or both."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from elastic_images.cli.data_lock import stopped_system
from elastic_images.cli.errors import FAILED
from elastic_images.cli.existing_system import existing_database
from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import amount, print_json, printable
from elastic_images.cli.progress import progress
from elastic_images.core.errors import Conflict, InvalidRequest, Unavailable
from elastic_images.core.redact import hide_password
from elastic_images.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from elastic_images.storage.upkeep.object_copy import ObjectCopy

_STOP = "stop it, or its latest writes would be lost. With --prepare, images can be copied while it runs."


@click.command()
@click.option(
    "--to-object-store",
    metavar="URL",
    envvar="ELASTIC_IMAGES_TO_OBJECT_STORE",
    show_envvar=True,
    help="Copy the images to this object store: file:///FOLDER or s3://BUCKET/PREFIX.",
)
@click.option(
    "--to-database",
    metavar="URL",
    envvar="ELASTIC_IMAGES_TO_DATABASE",
    show_envvar=True,
    help="Copy all tables to this database. Pass a password in the variable, hidden from other users.",
)
@click.option(
    "--prepare", is_flag=True, help="Only copy images, while the system runs, to shorten the later migration."
)
@click.option("--digests", is_flag=True, help="Also read back every image at the end, and compare.")
@click.option("--jobs", type=click.IntRange(1, 64), default=8, show_default=True, help="Parallel copies.")
@json_option
@settings_options("data", "database", "object_store")
def migrate(
    to_object_store: str | None,
    to_database: str | None,
    prepare: bool,
    digests: bool,
    jobs: int,
    as_json: bool,
    settings: Settings,
) -> None:
    """Copy a system to another object store, another database, or both.

    Stop the system first, on every machine that uses its database; with --prepare it may keep running. The target must
    be empty. To resume an interrupted migration, repeat the command: it skips images that are already there, and
    copies tables again. It verifies every image's SHA-256 and every table's rows while copying, and compares catalog
    and objects at the end. The source is left unchanged.

    The exit code is 1 if images had already lost their bytes in the source; everything else has been copied.

    JSON: {"objects": {"copied", "copied_bytes", "present", "removed", "damaged"} or null, "tables": {name: rows} or
    null, "finished"}
    """
    if not to_object_store and not to_database:
        raise InvalidRequest("Nothing to migrate to: give --to-object-store, --to-database, or both.")
    wanted = _Wanted(to_object_store, None if prepare else to_database, prepare, digests, jobs)
    with contextlib.nullcontext() if prepare else stopped_system(settings.data, _STOP):
        result = _run(settings, wanted)
    if as_json:
        print_json(result)
    else:
        _print(result, to_object_store, to_database)
    if (result["objects"] or {}).get("damaged"):
        sys.exit(FAILED)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The options."""

    to_object_store: str | None
    to_database: str | None
    prepare: bool
    digests: bool
    jobs: int


def _run(settings: Settings, wanted: _Wanted) -> dict[str, Any]:
    from sqlalchemy.exc import DBAPIError

    from elastic_images.database.engine import open_engine
    from elastic_images.database.explained import explained
    from elastic_images.database.sqlite_file import is_damage

    with contextlib.ExitStack() as stack:
        source = stack.enter_context(existing_database(settings, answer_seconds=3600))
        if not wanted.to_database:
            return _copy_all(settings, wanted, source, None)
        target = open_engine(wanted.to_database, answer_seconds=3600)
        stack.callback(target.dispose)
        with explained(wanted.to_database):
            target.connect().close()
        try:
            return _copy_all(settings, wanted, source, target)
        except DBAPIError as error:
            if is_damage(error.orig):
                raise
            raise Unavailable("The source or the target database does not answer.") from error


def _copy_all(settings: Settings, wanted: _Wanted, source: Engine, target: Engine | None) -> dict[str, Any]:
    """The copies' marks are removed last; until then, the same command resumes."""
    from elastic_images.database.copying import check_target, copy_database, finish_copy
    from elastic_images.storage.catalog.store_ids import known_id

    origin = hashlib.sha256(f"{settings.object_store}\0{hide_password(settings.database)}".encode()).hexdigest()[:32]
    if target is not None:
        check_target(target, origin)  # before the slow part
    objects = _copy_objects(settings, wanted, source, origin) if wanted.to_object_store else None
    tables = None
    if target is not None:
        with progress("Copying rows", "{:,}".format) as advance:
            tables = copy_database(source, target, origin, lambda rows: advance(rows, 0))
    if not wanted.prepare:
        _compare(wanted.to_object_store or settings.object_store, target or source, objects, digests=wanted.digests)
        if objects is not None:
            objects.remove_leftovers()
        if target is not None:
            finish_copy(target)
        if objects is not None:
            objects.finish(known_id(target or source))
    report = objects.report() if objects else None
    return {"objects": report, "tables": tables, "finished": not wanted.prepare}


def _copy_objects(settings: Settings, wanted: _Wanted, source: Engine, origin: str) -> ObjectCopy:
    from elastic_images.storage.catalog.catalog import Catalog
    from elastic_images.storage.catalog.trash import Trash
    from elastic_images.storage.objects.from_url import open_object_store
    from elastic_images.storage.upkeep.adoption import system_store
    from elastic_images.storage.upkeep.object_copy import ObjectCopy

    url = wanted.to_object_store or ""
    if url.partition("?")[0].rstrip("/") == settings.object_store.partition("?")[0].rstrip("/"):
        raise Conflict("The target is the object store that already holds the images.")
    stores = system_store(source, settings.object_store), open_object_store(url)
    size_bytes = Catalog(source).usage()["bytes"] + Trash(source).usage()["trash_bytes"]
    with progress("Copying images") as advance:
        copy = ObjectCopy(*stores, source, origin, jobs=wanted.jobs, progress=lambda done: advance(done, size_bytes))
        copy.run()
    return copy


def _compare(object_store: str, engine: Engine, objects: ObjectCopy | None, *, digests: bool) -> None:
    """Compare catalog and objects as they will be used. Images damaged in the source are reported elsewhere."""
    from elastic_images.storage.objects.from_url import open_object_store
    from elastic_images.storage.upkeep.fsck import fsck

    report = fsck(open_object_store(object_store), engine, check_digests=digests)
    lost = {image.key for image in (*report.missing, *report.wrong_size, *report.wrong_digest)}
    if objects is not None and (unexpected := lost - set(objects.damaged)):
        raise Unavailable(f"{len(unexpected)} images are missing or wrong in the copy: run migrate again.")


def _print(result: dict[str, Any], to_object_store: str | None, to_database: str | None) -> None:
    if objects := result["objects"]:
        size = amount(objects["copied_bytes"])
        click.echo(f"{objects['copied']} images copied ({size}), {objects['present']} already there")
        for key in objects["damaged"]:
            click.echo(f"BAD  {printable(key)}: its bytes were already lost in the source")
    if result["tables"] is not None:
        click.echo(f"{sum(result['tables'].values())} rows in {len(result['tables'])} tables copied and verified")
    if not result["finished"]:
        click.echo("Prepared. To finish, stop the system and run migrate without --prepare.")
        return
    click.echo("Done. Start the system with:")
    if to_object_store:
        click.echo(f"    ELASTIC_IMAGES_OBJECT_STORE={to_object_store}")
    if to_database:
        click.echo(f"    ELASTIC_IMAGES_DATABASE={hide_password(to_database)}")
