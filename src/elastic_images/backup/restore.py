"""Restoring a backup into an empty system: objects first, then the rows, then the marks go.

Interrupted anywhere, the same command goes on: the database and the object store are marked as unfinished until the
end, and no system starts on them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import Connection, Engine, LargeBinary, MetaData, Table, delete, insert, update

from elastic_images.backup.destination import BackupSet, Destination, chunks_of
from elastic_images.backup.dump import Row
from elastic_images.backup.verify import is_whole
from elastic_images.core.errors import BackupDamaged, Conflict
from elastic_images.database.copying import advance_ids, check_target, empty, finish_copy, mark_unfinished
from elastic_images.database.engine import write_transaction
from elastic_images.database.migrate import alembic_config, known_revisions, migrate
from elastic_images.database.tables import import_all
from elastic_images.storage.objects.object_store import ObjectStore
from elastic_images.storage.upkeep.adoption import adopt
from elastic_images.storage.upkeep.copying import begin_copy, copy_objects

_BATCH = 500
_OF_ONE_LIFE = ("pool_members", "login_attempts", "store_identity")
"""Tables whose rows mean something to the system that was backed up only, while it ran."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored. `bad` are keys whose bytes the backup did not have."""

    set: str
    objects: int
    size_bytes: int
    tables: dict[str, int]
    bad: list[str]


class Restorer:
    """Restores one set. For one thread; the system must be stopped.

    Args:
        metrics: where the local metric store's file goes; None if figures are kept elsewhere.
        progress: gets the bytes done since its last call, and all bytes.
    """

    def __init__(
        self,
        destination: Destination,
        engine: Engine,
        store: ObjectStore,
        *,
        metrics: Path | None = None,
        jobs: int = 8,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        self._destination = destination
        self._engine = engine
        self._store = store
        self._metrics = metrics
        self._jobs = jobs
        self._progress = progress

    def restore(self, record: BackupSet) -> Restored:
        """Restore the set.

        Raises:
            Conflict: the database or the object store is not empty, or holds another unfinished restore; or the set
                was made by a newer version of the program. Nothing was changed.
            BackupDamaged: the set's tables cannot be read.
            OutOfSpace, Unavailable: run it again; it goes on.
        """
        if record.revision not in known_revisions():
            raise Conflict(f"This set was made by version {record.version}, which is newer than this program.")
        check_target(self._engine, record.id)
        if not is_whole(self._destination.files, record.dump):
            raise BackupDamaged(f"The backup set {record.id} has lost its tables: use another set.")
        begin_copy(self._store, record.id)
        mark_unfinished(self._engine, record.id)
        report = copy_objects(
            self._destination.objects,
            self._store,
            self._destination.objects_named_in(record.dump),
            jobs=self._jobs,
            progress=lambda done: self._progress(done, record.object_bytes),
        )
        tables = self._load(record)
        self._restore_metrics(record)
        adopt(self._engine, self._store)
        finish_copy(self._engine)
        self._store.delete(record.id)
        bad = sorted({one.key for one in report.bad})
        return Restored(record.id, report.copied + report.present, report.copied_bytes, tables, bad)

    def _load(self, record: BackupSet) -> dict[str, int]:
        """Load the rows into the schema that they were dumped from, and bring that to the newest."""
        with self._engine.connect() as connection:
            command.upgrade(alembic_config(connection), record.revision)
            connection.commit()
        schema = MetaData()
        schema.reflect(self._engine)
        tables = [schema.tables[name] for name in record.tables]
        empty(self._engine, tables)
        counts = dict.fromkeys(record.tables, 0)
        for name, rows in groupby(self._destination.rows(record.dump), key=itemgetter(0)):
            if name not in _OF_ONE_LIFE:
                counts[name] = self._load_table(schema.tables[name], (row for _, row in rows))
        with write_transaction(self._engine) as connection:
            self._begin_a_new_life(connection, schema)
        migrate(self._engine, unfinished_copy=True)
        advance_ids(self._engine, import_all().sorted_tables)
        return counts

    def _load_table(self, table: Table, rows: Iterator[Row]) -> int:
        binary = [column.name for column in table.columns if isinstance(column.type, LargeBinary)]
        count = 0
        while batch := [_with_bytes(row, binary) for row in islice(rows, _BATCH)]:
            with write_transaction(self._engine) as connection:
                connection.execute(insert(table), batch)
            count += len(batch)
        return count

    def _begin_a_new_life(self, connection: Connection, schema: MetaData) -> None:
        """No pool runs yet, no upkeep does, and no resize is under way."""
        pool = schema.tables["pool_state"]
        connection.execute(update(pool).values(map=None, revision=pool.c.revision + 1))
        resizes = schema.tables["resizes"]
        connection.execute(delete(resizes).where(resizes.c.finished_at.is_(None)))
        if (leases := schema.tables.get("upkeep_leases")) is not None:
            connection.execute(update(leases).values(holder="", until=0.0))

    def _restore_metrics(self, record: BackupSet) -> None:
        if record.metrics is None or self._metrics is None:
            return
        self._metrics.parent.mkdir(parents=True, exist_ok=True)
        for suffix in ("-wal", "-shm"):
            self._metrics.with_name(self._metrics.name + suffix).unlink(missing_ok=True)
        half = self._metrics.with_name(f"{self._metrics.name}.restored")
        with half.open("wb") as file:
            for chunk in chunks_of(self._destination.files, record.metrics.name):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        half.replace(self._metrics)


def _with_bytes(row: dict[str, Any], binary: list[str]) -> dict[str, Any]:
    return row | {name: row[name].encode() for name in binary if row[name] is not None}
