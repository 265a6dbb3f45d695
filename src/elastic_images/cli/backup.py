"""`backup` and `restore`: a whole system in a folder or a bucket, and back."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elastic_images.cli.data_lock import stopped_system
from elastic_images.cli.errors import FAILED
from elastic_images.cli.existing_system import existing_database
from elastic_images.cli.options import json_option, settings_options
from elastic_images.cli.output import amount, moment, print_json, print_table, printable
from elastic_images.cli.progress import progress
from elastic_images.settings import Settings

if TYPE_CHECKING:
    from elastic_images.backup.destination import BackupSet
    from elastic_images.pool.life_lock import LifeLock

_jobs = click.option("--jobs", type=click.IntRange(1, 64), default=8, show_default=True, help="Objects at a time.")
_set = click.option("--set", "set_id", metavar="ID", help="The backup set. [default: the newest]")


@click.group()
def backup() -> None:
    """Back up a whole system, while it runs, into a folder or a bucket.

    DEST is a folder, file:///FOLDER or s3://BUCKET/PREFIX. A DEST that holds earlier backups gets only what is new, so
    the same command can run every night. `elastic-images restore` brings a backup back.
    """


@backup.command()
@click.argument("dest")
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Afterwards remove all but the N newest sets.")
@_jobs
@json_option
@settings_options("data", "database", "object_store", "metrics")
def create(dest: str, keep: int | None, jobs: int, as_json: bool, settings: Settings) -> None:
    """Make a backup set at DEST: all rows of one moment, and every object that they name.

    Accounts, tokens, configuration, the trash and locally kept metrics are included. The system may run. An interrupted
    backup is continued by the same command. Every object is checked by its SHA-256 on the way; the exit code is 1 if
    some were damaged or lost in the object store already (the rest is in the backup).

    JSON: {"set": {...}, "copied", "copied_bytes", "present", "removed_sets", "removed_objects"}
    """
    from elastic_images.backup.create import BackupMaker
    from elastic_images.backup.destination import Destination
    from elastic_images.backup.retention import keep_newest
    from elastic_images.storage.upkeep.adoption import system_store

    destination = Destination(dest)
    with (
        existing_database(settings, answer_seconds=3600) as engine,
        _only_backup(settings.data) as life,
        progress("Backing up") as advance,
    ):
        made = BackupMaker(
            engine,
            system_store(engine, settings.object_store),
            destination,
            metrics=_metrics_file(settings),
            life=life,
            jobs=jobs,
            progress=advance,
        ).create()
    sets, objects = keep_newest(destination, keep) if keep else (0, 0)
    if as_json:
        counts = {"copied": made.copied, "copied_bytes": made.copied_bytes, "present": made.present}
        print_json({"set": asdict(made.record), **counts, "removed_sets": sets, "removed_objects": objects})
    else:
        click.echo(f"Backup set {made.record.id}: {made.record.objects} objects, {amount(made.record.object_bytes)}")
        click.echo(f"{made.copied} copied ({amount(made.copied_bytes)}), {made.present} from earlier backups")
        if sets:
            click.echo(f"{sets} old sets removed, with {objects} objects")
        _print_bad(made.record.damaged, "damaged or lost in the object store; not in the backup")
    if made.record.damaged:
        sys.exit(FAILED)


@backup.command()
@click.argument("dest")
@_set
@_jobs
@json_option
def verify(dest: str, set_id: str | None, jobs: int, as_json: bool) -> None:
    """Read a whole backup set and compare every byte with its SHA-256. The exit code is 1 if something is damaged.

    JSON: {"set", "objects", "size_bytes", "bad": [keys], "whole"}
    """
    from elastic_images.backup.destination import Destination
    from elastic_images.backup.verify import verify as check

    destination = Destination(dest)
    record = destination.find(set_id)
    with progress("Verifying") as advance:
        found = check(destination, record, jobs=jobs, progress=advance)
    if as_json:
        print_json({**asdict(found), "whole": found.whole})
    else:
        _print_bad(found.bad, "damaged or missing in the backup")
        click.echo(f"Backup set {found.set}: {found.objects} objects, {amount(found.size_bytes)} read")
        click.echo("Everything is there." if found.whole else f"{len(found.bad)} images are damaged in this set.")
    if not found.whole:
        sys.exit(FAILED)


@backup.command()
@click.argument("dest")
@json_option
def ls(dest: str, as_json: bool) -> None:
    """List the backup sets at DEST, oldest first.

    JSON: [{"id", "created_at", "objects", "object_bytes", "damaged", ...}]
    """
    from elastic_images.backup.destination import Destination

    sets = Destination(dest).sets()
    if as_json:
        print_json([asdict(one) for one in sets])
    else:
        print_table(["SET", "CREATED (UTC)", "OBJECTS", "SIZE", "DAMAGED"], [_row(one) for one in sets])


@click.command()
@click.argument("dest")
@_set
@_jobs
@json_option
@settings_options("data", "database", "object_store", "metrics")
def restore(dest: str, set_id: str | None, jobs: int, as_json: bool, settings: Settings) -> None:
    """Restore a backup set from DEST into the empty system that the settings name.

    The database must be empty, the object store too, and no system may run on DATA. Any database and object store will
    do, whatever the backup was made from. An interrupted restore is continued by the same command; until it is done, no
    system starts there. The exit code is 1 if the backup lacked the bytes of some images.

    JSON: {"set", "objects", "size_bytes", "tables": {name: rows}, "bad": [keys]}
    """
    from elastic_images.backup.destination import Destination
    from elastic_images.backup.restore import Restorer
    from elastic_images.database.explained import explained_engine
    from elastic_images.storage.objects.from_url import open_object_store

    destination = Destination(dest)
    record = destination.find(set_id)
    with stopped_system(settings.data), progress("Restoring") as advance:
        _remove_leftover_journal(settings)
        with explained_engine(settings.database, answer_seconds=3600) as engine:
            done = Restorer(
                destination,
                engine,
                open_object_store(settings.object_store),
                metrics=_metrics_file(settings),
                jobs=jobs,
                progress=advance,
            ).restore(record)
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(f"{done.objects} objects and {sum(done.tables.values())} rows restored from set {done.set}.")
        _print_bad(done.bad, "its bytes were not in the backup")
        click.echo("Start the system with `elastic-images up`.")
    if done.bad:
        sys.exit(FAILED)


@contextlib.contextmanager
def _only_backup(data: Path) -> Iterator[LifeLock | None]:
    """Hold the lock that shows the next backup on this machine that this one is gone. None without a data folder."""
    from elastic_images.core.errors import Conflict
    from elastic_images.pool.life_lock import hold

    if not data.is_dir():
        yield None
        return
    try:
        life = hold(data / "run" / "backup.lock")
    except Conflict:
        raise Conflict("Another backup is running on this system.") from None
    with life:
        yield life


def _metrics_file(settings: Settings) -> Path | None:
    from elastic_images.metrics.backends import LOCAL_FILE

    return settings.data / LOCAL_FILE if settings.metrics == "local" else None


def _remove_leftover_journal(settings: Settings) -> None:
    """Remove SQLite's journal of a database that is gone: it would be replayed over the restored one."""
    from elastic_images.database.sqlite_file import file_of

    file = file_of(settings.database)
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        for suffix in ("-wal", "-shm", "-journal"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)


def _row(one: BackupSet) -> list[Any]:
    return [one.id, moment(one.created_at), one.objects, amount(one.object_bytes), len(one.damaged)]


def _print_bad(keys: list[str], what: str) -> None:
    for key in keys:
        click.echo(f"BAD  {printable(key)}: {what}")
