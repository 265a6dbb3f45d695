"""Copies the objects of images, and of the trash, from one object store to another, keeping their names.

Objects never change, so this may run while the system works, and be repeated until all are copied. The target must be
empty, or hold an earlier run from the same origin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from elastic_images.storage.catalog.references import References
from elastic_images.storage.objects.object_store import ObjectStore
from elastic_images.storage.upkeep.copying import begin_copy, copy_objects

_PAGE = 500


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
        self._references = References(engine)
        self._mark = mark
        self._jobs = jobs
        self._progress = progress
        self._counts: dict[str, int] = {}
        self._removed = 0
        self.damaged: list[str] = []
        """Keys of images whose bytes are missing or damaged in the source."""

    def run(self) -> None:
        """Copy what the target lacks.

        Raises:
            Conflict: the target holds something else.
            OutOfSpace, Unavailable: of either store; what was copied stays, and a later run goes on.
        """
        begin_copy(self._target, self._mark)
        wanted = self._references.between()
        found = copy_objects(self._source, self._target, wanted, jobs=self._jobs, progress=self._progress)
        # An image may be gone since its row was read.
        self.damaged = [row.key for row in found.bad if self._references.known([row.object_name])]
        self._counts = {"copied": found.copied, "copied_bytes": found.copied_bytes, "present": found.present}

    def report(self) -> dict[str, Any]:
        """What was copied now, was there from an earlier run, and was removed, as plain JSON values."""
        return {**self._counts, "removed": self._removed, "damaged": self.damaged}

    def remove_leftovers(self) -> None:
        """Remove from the target what an earlier run copied and nothing refers to any more."""
        after = ""
        while page := self._target.list(after, _PAGE):
            names = {info.name for info in page} - {self._mark}
            loose = sorted(names - self._references.known(names))
            self._target.delete_many(loose)
            self._removed += len(loose)
            after = page[-1].name

    def finish(self, store_id: str | None) -> None:
        """Remove the marker, and give the target the store id that the database knows: it is ready to be used."""
        if store_id is not None:
            self._target.mark(store_id)
        self._target.delete(self._mark)
