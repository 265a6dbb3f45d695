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
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from elastic_images import __version__
from elastic_images.backup.destination import BackupSet, Destination, StoredFile, new_set_id
from elastic_images.backup.dump import Summary, dump_tables
from elastic_images.core.errors import Conflict
from elastic_images.database.copying import snapshot
from elastic_images.database.migrate import newest_revision, revision_of
from elastic_images.database.tables import import_all
from elastic_images.pool.life_lock import LifeLock
from elastic_images.storage.objects.object_store import CHUNK_BYTES, ObjectStore
from elastic_images.storage.upkeep.copying import copy_objects
from elastic_images.storage.upkeep.leases import UpkeepLeases


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
            summary = Summary()
            dump = self._dump(summary)
            try:
                self._destination.check_belongs_to(summary.store_id)
                return self._create(set_id, created_at, dump, summary, check_lease)
            except BaseException:
                self._destination.files.delete(dump.name)
                raise

    def _create(
        self, set_id: str, created_at: float, dump: StoredFile, summary: Summary, check_lease: Callable[[], None]
    ) -> Created:
        report = copy_objects(
            self._store,
            self._destination.objects,
            self._destination.objects_named_in(dump),
            jobs=self._jobs,
            progress=lambda done: self._progress(done, summary.object_bytes),
        )
        check_lease()
        record = BackupSet(
            id=set_id,
            created_at=created_at,
            finished_at=self._clock(),
            version=__version__,
            revision=newest_revision(),
            store_id=summary.store_id,
            tables=summary.tables,
            objects=report.copied + report.present,
            object_bytes=summary.object_bytes - sum(one.size_bytes for one in report.bad),
            dump=dump,
            metrics=self._copy_metrics(),
            damaged=sorted({one.key for one in report.bad}),
        )
        self._destination.add(record)
        return Created(record, report.copied, report.copied_bytes, report.present)

    def _dump(self, summary: Summary) -> StoredFile:
        with snapshot(self._engine) as connection:
            return self._put(dump_tables(connection, import_all().sorted_tables, summary))

    def _put(self, chunks: Iterable[bytes]) -> StoredFile:
        stored = self._destination.files.put(chunks)
        return StoredFile(stored.name, stored.size_bytes, stored.sha256)

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
            return self._put(_pieces(copy))


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(CHUNK_BYTES):
            yield piece
