"""Copies the objects of images, and of the trash, from one object store to another, keeping their names.

Objects never change, so this may run while the system works, and be repeated until all are copied. The target must be
empty, or hold an earlier run from the same origin, as shown by a marker object with a name specific to the origin.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, Select, Table, select

from elastic_images.core.errors import Conflict
from elastic_images.storage.catalog.tables import images, trash
from elastic_images.storage.catalog.transactions import RetryingTransactions
from elastic_images.storage.objects.copying import Copied, copy_objects
from elastic_images.storage.objects.object_store import ObjectStore
from elastic_images.storage.upkeep.fsck import Referenced, rows_of

_PAGE = 500


@dataclass(slots=True)
class ObjectCopyReport:
    """The result of a run."""

    copied: int = 0
    copied_bytes: int = 0
    present: int = 0
    """Already copied by an earlier run."""
    removed: int = 0
    """Copied by an earlier run, but no longer referred to."""
    damaged: list[str] = field(default_factory=list)
    """Keys of images whose bytes are missing or damaged in the source."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        names = ("copied", "copied_bytes", "present", "removed", "damaged")
        return {name: getattr(self, name) for name in names}


class ObjectCopy:
    """One run. For one thread.

    Args:
        engine: the catalog of the source.
        mark: the name of the marker object in the target.
        progress: called with the number of bytes done since the last call.
    """

    def __init__(
        self,
        source: ObjectStore,
        target: ObjectStore,
        engine: Engine,
        mark: str,
        *,
        jobs: int = 8,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._target = target
        self._transactions = RetryingTransactions(engine)
        self._mark = mark
        self._jobs = jobs
        self._progress = progress
        self.report = ObjectCopyReport()

    def check_target(self) -> None:
        """Check that the target may be copied to. Changes nothing. Raises Conflict if it holds something else."""
        if self._target.stat(self._mark) is None and self._target.list(limit=1):
            raise Conflict("The target object store is not empty and does not belong to this migration.")

    def run(self) -> None:
        """Copy what the target lacks.

        Raises:
            Conflict: see `check_target`.
            OutOfSpace, Unavailable: of either store; what was copied stays, and a later run goes on.
        """
        self.check_target()
        if self._target.stat(self._mark) is None:
            self._target.put([b"a migration to this object store is not finished\n"], self._mark)
        found: Copied[Referenced] = Copied()
        for rows in (self._of_images(), self._of_trash()):  # an image may move from the first to the second meanwhile
            copy_objects(self._source, self._target, rows, found, jobs=self._jobs, progress=self._progress)
        report = self.report
        report.copied, report.copied_bytes, report.present = found.copied, found.copied_bytes, found.present
        report.damaged = [row.key for row in found.bad if self._still_there(row)]

    def remove_leftovers(self) -> None:
        """Remove from the target what an earlier run copied and nothing refers to any more."""
        after = ""
        while page := self._target.list(after, _PAGE):
            names = {info.name for info in page} - {self._mark}
            loose = sorted(names - self._referenced(names))
            self._target.delete_many(loose)
            self.report.removed += len(loose)
            after = page[-1].name

    def finish(self, store_id: str | None) -> None:
        """Remove the marker, and give the target the store id that the database knows: it is ready to be used."""
        if store_id is not None:
            self._target.mark(store_id)
        self._target.delete(self._mark)

    def _referenced(self, names: set[str]) -> set[str]:
        def work(connection: Connection) -> set[str]:
            queries = [select(table.c.object_name).where(table.c.object_name.in_(names)) for table in (images, trash)]
            return {name for query in queries for name in connection.execute(query).scalars()}

        return self._transactions.read(work)

    def _of_images(self) -> Iterator[Referenced]:
        return self._pages(select(images.c.object_name, images.c.key, images.c.size_bytes, images.c.sha256), images)

    def _of_trash(self) -> Iterator[Referenced]:
        digest = trash.c.facts.label("sha256")
        usable = trash.c.claimed_by.is_(None) & trash.c.facts.is_not(None)
        columns = select(trash.c.object_name, trash.c.key, trash.c.size_bytes, digest).where(usable)
        for row in self._pages(columns, trash):
            yield replace(row, sha256=json.loads(row.sha256)["sha256"])

    def _pages(self, columns: Select[Any], table: Table) -> Iterator[Referenced]:
        """By the objects' names."""
        after = ""
        while True:
            query = columns.where(table.c.object_name > after).order_by(table.c.object_name).limit(_PAGE)
            rows = self._transactions.read(partial(rows_of, query))
            if not rows:
                return
            yield from (Referenced(row.object_name, row.key, row.size_bytes, row.sha256) for row in rows)
            after = rows[-1].object_name

    def _still_there(self, row: Referenced) -> bool:
        """Whether the object is still referred to: the image may be gone since its row was read."""
        return bool(self._referenced({row.object_name}))
