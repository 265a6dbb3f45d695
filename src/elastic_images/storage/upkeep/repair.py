"""Repairs what `fsck` found: brings objects back from a backup, and moves unreferenced ones to the quarantine.

The system may run. Each step looks at its object anew and can be repeated, so an interrupted repair is run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine

from elastic_images.core.errors import Conflict
from elastic_images.database.migrate import is_unfinished_copy
from elastic_images.storage.bad_objects import BadObjects
from elastic_images.storage.catalog.references import Referenced, References
from elastic_images.storage.objects.object_store import ObjectInfo, ObjectStore
from elastic_images.storage.upkeep.fsck import YOUNG_SECONDS, Report
from elastic_images.storage.verified import BadObject, examine_object, verified_chunks


@dataclass(slots=True)
class Repaired:
    """What was done, or would be."""

    dry_run: bool
    restored: list[Referenced] = field(default_factory=list)
    not_restored: list[Referenced] = field(default_factory=list)
    """The backup does not have them whole, or there is none."""
    quarantined: list[ObjectInfo] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    """Objects that were recorded as bad and are as they should be."""


class Repairer:
    """Repairs one system. For one thread.

    Args:
        backup: a store with the objects of a backup, under the same names.
    """

    def __init__(
        self,
        store: ObjectStore,
        engine: Engine,
        backup: ObjectStore | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._engine = engine
        self._references = References(engine)
        self._bad = BadObjects(engine)
        self._backup = backup
        self._clock = clock

    def repair(self, report: Report, *, dry_run: bool) -> Repaired:
        """Repair what the report says.

        Raises:
            Conflict: a restore or a migration into this system is not finished.
            OutOfSpace, Unavailable: of a store; run it again.
        """
        if is_unfinished_copy(self._engine):
            raise Conflict("The database holds an unfinished copy: finish the restore or migration first.")
        done = Repaired(dry_run)
        for row in (*report.missing, *report.wrong_size, *report.wrong_digest):
            if self._is_referenced(row.object_name):
                (done.restored if self._restore(row, dry_run=dry_run) else done.not_restored).append(row)
        for info in report.unreferenced:
            if self._is_garbage(info.name):
                if not dry_run:
                    self._store.quarantine(info.name)
                done.quarantined.append(info)
        for name in report.recovered:
            if not dry_run:
                self._bad.clear(name)
            done.cleared.append(name)
        return done

    def _restore(self, row: Referenced, *, dry_run: bool) -> bool:
        if self._backup is None:
            return False
        known = row.object_name, row.size_bytes, row.sha256
        try:
            if dry_run:
                examine_object(self._backup, *known)
            else:
                self._store.replace(row.object_name, verified_chunks(self._backup, *known))
                self._bad.clear(row.object_name)
        except BadObject:
            return False
        return True

    def _is_garbage(self, name: str) -> bool:
        """Looked at anew: since the report, a write may have used the name, or the collector deleted the object."""
        info = self._store.stat(name)
        return info is not None and info.created_at < self._clock() - YOUNG_SECONDS and not self._is_referenced(name)

    def _is_referenced(self, name: str) -> bool:
        return bool(self._references.known([name]))
