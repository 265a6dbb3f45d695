"""Making a backup while the system works.

1. The lease of backups is taken: until it ends, the collector removes no object.
2. All tables are dumped as of one moment.
3. Every object that the dump names, and the destination lacks, is copied and checked.
4. The set's record is written. Only now does the set count.
Interrupted anywhere, the next run goes on: what was copied is not copied again.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, Table

from elastic_images import __version__
from elastic_images.backup.destination import BackupSet, Destination, StoredFile, chunks_of, new_set_id
from elastic_images.backup.dump import dump_tables, objects_in, read_dump
from elastic_images.core.errors import Conflict
from elastic_images.database.copying import snapshot
from elastic_images.database.migrate import newest_revision, revision_of
from elastic_images.database.tables import import_all
from elastic_images.pool.life_lock import LifeLock
from elastic_images.storage.objects.copying import Copied, copy_objects
from elastic_images.storage.objects.object_store import CHUNK_BYTES, ObjectStore
from elastic_images.storage.upkeep.fsck import Referenced
from elastic_images.storage.upkeep.leases import UpkeepLeases

_TABLES_WITH_OBJECTS = ("images", "trash")


@dataclass(frozen=True, slots=True)
class Created:
    """A new set, and what was done for it."""

    record: BackupSet
    copied: int
    copied_bytes: int
    present: int
    """Objects that earlier backups had copied."""


class BackupMaker:
    """Makes backups of one system. For one thread; several may not run on one destination.

    Args:
        metrics: the file of the local metric store; None if figures are kept elsewhere.
        life: the lock of the only process here that makes backups; those noted in it were killed.
        progress: gets the bytes done since its last call, and all bytes.
    """

    def __init__(
        self,
        engine: Engine,
        store: ObjectStore,
        destination: Destination,
        *,
        metrics: Path | None = None,
        life: LifeLock | None = None,
        jobs: int = 8,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._store = store
        self._destination = destination
        self._metrics = metrics
        self._life = life
        self._jobs = jobs
        self._progress = progress
        self._clock = clock

    def create(self) -> Created:
        """Make a set.

        Raises:
            Conflict: another backup is running, or the database is of another version than this program.
            OutOfSpace, Unavailable: of the stores; there is no new set, and the next run goes on.
        """
        if revision_of(self._engine) != newest_revision():
            raise Conflict("The database is of another version than this program: start the system once.")
        created_at = self._clock()
        set_id = new_set_id(created_at)
        killed = self._life.former if self._life else ()
        if self._life:
            self._life.note([*killed, set_id])
        with UpkeepLeases(self._engine, clock=self._clock).held("backup", set_id, gone=killed) as check_lease:
            self._destination.remove_loose_files()
            counts: dict[str, int] = {}
            dump = self._dump(counts)
            try:
                return self._create(set_id, created_at, dump, counts, check_lease)
            except BaseException:
                self._destination.files.delete(dump.name)
                raise

    def _create(
        self, set_id: str, created_at: float, dump: StoredFile, counts: dict[str, int], check_lease: Callable[[], None]
    ) -> Created:
        store_id = self._store_id(dump)
        self._destination.check_belongs_to(store_id)
        total = sum(one.size_bytes for one in self._named(dump, *_TABLES_WITH_OBJECTS))
        report: Copied[Referenced] = Copied()
        for table in _TABLES_WITH_OBJECTS:
            copy_objects(
                self._store,
                self._destination.objects,
                self._named(dump, table),
                report,
                jobs=self._jobs,
                progress=lambda done: self._progress(done, total),
            )
        check_lease()
        record = BackupSet(
            id=set_id,
            created_at=created_at,
            finished_at=self._clock(),
            version=__version__,
            revision=newest_revision(),
            store_id=store_id,
            tables=counts,
            objects=report.copied + report.present,
            object_bytes=total - sum(one.size_bytes for one in report.bad),
            dump=dump,
            metrics=self._copy_metrics(),
            damaged=sorted({one.key for one in report.bad}),
        )
        self._destination.add(record)
        return Created(record, report.copied, report.copied_bytes, report.present)

    def _dump(self, counts: dict[str, int]) -> StoredFile:
        tables: list[Table] = import_all().sorted_tables
        with snapshot(self._engine) as connection:
            stored = self._destination.files.put(dump_tables(connection, tables, counts))
        return StoredFile(stored.name, stored.size_bytes, stored.sha256)

    def _named(self, dump: StoredFile, *tables: str) -> Iterator[Referenced]:
        return objects_in(chunks_of(self._destination.files, dump.name), *tables)

    def _store_id(self, dump: StoredFile) -> str | None:
        rows = read_dump(chunks_of(self._destination.files, dump.name), {"store_identity"})
        return next((row["store_id"] for _, row in rows), None)

    def _copy_metrics(self) -> StoredFile | None:
        """The metrics' file as of one moment, by SQLite's own backup."""
        if self._metrics is None or not self._metrics.is_file():
            return None
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "metrics"
            with (
                closing(sqlite3.connect(f"file:{self._metrics}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
            stored = self._destination.files.put(_pieces(copy))
        return StoredFile(stored.name, stored.size_bytes, stored.sha256)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(CHUNK_BYTES):
            yield piece
