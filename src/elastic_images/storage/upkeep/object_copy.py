"""Copies the objects that images refer to from one object store to another, keeping their names.

Objects never change, so this may run while the system works, and be repeated until all are copied. The target must be
empty, or hold an earlier run from the same origin, as shown by a marker object with a name specific to the origin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, select

from elastic_images.core.errors import Conflict
from elastic_images.storage.catalog.tables import images
from elastic_images.storage.catalog.transactions import RetryingTransactions
from elastic_images.storage.objects.object_store import CHUNK_BYTES, ObjectMissing, ObjectStore, OpenObject
from elastic_images.storage.upkeep.fsck import Referenced

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
        for half in list(self._target.partials()):
            self._target.delete_partial(half.name)
        waiting: deque[tuple[Referenced, Future[bool]]] = deque()
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                for row in self._lacking():
                    waiting.append((row, pool.submit(self._copy, row)))
                    if len(waiting) > 2 * self._jobs:
                        self._settle(*waiting.popleft())
                while waiting:
                    self._settle(*waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def remove_leftovers(self) -> None:
        """Remove from the target what an earlier run copied and images refer to no more."""
        after = ""
        while page := self._target.list(after, _PAGE):
            names = {info.name for info in page} - {self._mark}
            loose = sorted(names - self._referenced(names))
            self._target.delete_many(loose)
            self.report.removed += len(loose)
            after = page[-1].name

    def finish(self) -> None:
        """Remove the marker: the target is now an ordinary object store."""
        self._target.delete(self._mark)

    def _referenced(self, names: set[str]) -> set[str]:
        query = select(images.c.object_name).where(images.c.object_name.in_(names))
        return set(self._transactions.read(lambda connection: connection.execute(query).scalars().all()))

    def _settle(self, row: Referenced, copied: Future[bool]) -> None:
        if copied.result():
            self.report.copied += 1
            self.report.copied_bytes += row.size_bytes
        elif self._still_there(row):
            self.report.damaged.append(row.key)
        self._progress(row.size_bytes)

    def _lacking(self) -> Iterator[Referenced]:
        """The catalog's objects that the target lacks, by name."""
        after = ""
        while rows := self._rows(after):
            sizes = self._sizes(after, rows[-1].object_name)
            for row in rows:
                if sizes.get(row.object_name) == row.size_bytes:
                    self.report.present += 1
                    self._progress(row.size_bytes)
                    continue
                if row.object_name in sizes:
                    self._target.delete(row.object_name)
                yield row
            after = rows[-1].object_name

    def _sizes(self, after: str, last: str) -> dict[str, int]:
        """The sizes of the target's objects with names above `after`, up to `last`."""
        sizes: dict[str, int] = {}
        while page := self._target.list(after, _PAGE):
            sizes |= {info.name: info.size_bytes for info in page if info.name <= last}
            after = page[-1].name
            if after >= last:
                break
        return sizes

    def _copy(self, row: Referenced) -> bool:
        """False if the source lacks these bytes; the target does not get them then."""
        try:
            with self._source.open(row.object_name) as found:
                stored = self._target.put(_chunks(found), row.object_name)
        except ObjectMissing:
            return False
        if (stored.sha256, stored.size_bytes) == (row.sha256, row.size_bytes):
            return True
        self._target.delete(row.object_name)
        return False

    def _rows(self, after: str) -> list[Referenced]:
        columns = select(images.c.object_name, images.c.key, images.c.size_bytes, images.c.sha256)
        query = columns.where(images.c.object_name > after).order_by(images.c.object_name).limit(_PAGE)
        rows = self._transactions.read(lambda connection: connection.execute(query).all())
        return [Referenced(row.object_name, row.key, row.size_bytes, row.sha256) for row in rows]

    def _still_there(self, row: Referenced) -> bool:
        """Whether the image still has this object: it may have been replaced since its row was read."""
        query = select(images.c.key).where(images.c.object_name == row.object_name)
        return self._transactions.read(lambda connection: connection.execute(query).first()) is not None


def _chunks(found: OpenObject) -> Iterator[bytes]:
    while chunk := found.read(CHUNK_BYTES):
        yield chunk
