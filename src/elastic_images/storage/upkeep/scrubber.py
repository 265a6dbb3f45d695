"""Reads every object from time to time, so that damage is found while a backup still has the bytes."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from elastic_images.core.errors import Conflict
from elastic_images.storage.bad_objects import BadObjects
from elastic_images.storage.catalog.references import Referenced, References
from elastic_images.storage.objects.object_store import ObjectStore
from elastic_images.storage.upkeep.leases import UpkeepLeases
from elastic_images.storage.upkeep.scrub_record import ScrubProgress, ScrubRecord
from elastic_images.storage.verified import BadObject, examine_object

_NEVER = -1.0
"""The age of the last finished round before there is one."""
_log = logging.getLogger(__name__)
_DAY_SECONDS = 86_400.0
_SAVE_SECONDS = 2.0
_LEAST_BYTES_PER_SECOND = 256 * 1024
_REQUESTED_BYTES_PER_SECOND = 64 * 1024 * 1024
"""A requested round also rests as long as each read took, so that readers do not notice it."""


class Scrubber:
    """Rounds over all objects that images and the trash refer to, in the order of their names.

    One process at a time works, by a lease. Progress is kept in the database: another process goes on from there.
    `request`, `status` and `figures` may be called from any thread.
    """

    def __init__(
        self,
        record: ScrubRecord,
        references: References,
        leases: UpkeepLeases,
        store: ObjectStore,
        bad_objects: BadObjects,
        verify_store: Callable[[], None],
        *,
        days: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`days` between the starts of two rounds, which is how long a round may take; 0: only requested rounds."""
        self._record = record
        self._references = references
        self._leases = leases
        self._store = store
        self._bad_objects = bad_objects
        self._verify_store = verify_store
        self._days = days
        self._clock = clock
        self._holder = uuid.uuid4().hex
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End a round under way soon; it is continued later."""
        self._stopping.set()

    def request(self) -> dict[str, Any]:
        """Ask for a round from the start, as fast as readers allow. Gives the status."""
        self._record.save(requested_at=self._clock())
        return self.status()

    def status(self) -> dict[str, Any]:
        """The progress as JSON, with the objects and bytes of a whole round."""
        progress, (objects, size_bytes) = self._record.progress(), self._record.totals()
        shown = asdict(progress) | {"running": progress.is_running, "requested": progress.is_requested}
        del shown["after"]
        return shown | {"total_objects": objects, "total_bytes": size_bytes, "days": self._days}

    def figures(self) -> dict[str, float]:
        """Gauges."""
        progress = self._record.progress()
        age = _NEVER if progress.finished_at is None else self._clock() - progress.finished_at
        return {"scrub_objects": progress.objects, "scrub_age_seconds": age}

    def work(self) -> None:
        """Begin or continue a round if one is due and no other process has it. Returns when it has ended.

        Raises:
            Unavailable: the object store does not answer, or is not the catalog's; a later call continues.
        """
        if not self._is_due(self._record.progress()):
            return
        try:
            with self._leases.held("scrub", self._holder) as check_lease:
                self._scrub(_Round(self._record, self._begun(), self._days, self._stopping, check_lease))
        except (Conflict, _Interrupted):
            return

    def _is_due(self, progress: ScrubProgress) -> bool:
        if progress.requested_at is not None:
            return True
        ended = not progress.is_running
        waits = ended and self._clock() < (progress.started_at or 0.0) + self._days * _DAY_SECONDS
        return bool(self._days) and not waits

    def _begun(self) -> ScrubProgress:
        progress = self._record.progress()
        if progress.is_running and not progress.is_requested:
            return progress
        started_at = max(self._clock(), progress.requested_at or 0.0)
        self._record.save(after="", started_at=started_at, objects=0, size_bytes=0, bad=0)
        return self._record.progress()

    def _scrub(self, round_: _Round) -> None:
        while page := self._references.page(round_.after):
            known = self._bad_objects.known([one.object_name for one in page])
            for one in page:
                is_bad = self._is_bad(one, round_)
                if not is_bad and one.object_name in known:
                    self._bad_objects.clear(one.object_name)
                round_.advance(one, is_bad=is_bad)
        self._bad_objects.sweep()
        round_.save(finished_at=self._clock(), requested_at=None)
        _log.info("scrubbed %d objects, %d bytes: %d bad", round_.objects, round_.size_bytes, round_.bad)

    def _is_bad(self, one: Referenced, round_: _Round) -> bool:
        bad = self._trouble(one, round_)
        if bad is not None:
            # Once more from the start: a read may fail by chance.
            bad = self._trouble(one, round_)
        if bad is None or not self._references.has(one.object_name):
            return False
        self._verify_store()
        self._bad_objects.record(one.object_name, one.key, bad)
        return True

    def _trouble(self, one: Referenced, round_: _Round) -> BadObject | None:
        round_.begin_read()
        try:
            examine_object(self._store, one.object_name, one.size_bytes, one.sha256, pause=round_.pause)
        except BadObject as bad:
            return bad
        return None


class _Interrupted(Exception):
    """The process stops, or another round was requested."""


class _Round:
    """The pace and the progress of a round, or of the rest of one."""

    def __init__(
        self,
        record: ScrubRecord,
        progress: ScrubProgress,
        days: float,
        stopping: threading.Event,
        check_lease: Callable[[], None],
    ) -> None:
        self._record = record
        self._stopping = stopping
        self._check_lease = check_lease
        self._requested_at = progress.requested_at
        self.after, self.objects = progress.after, progress.objects
        self.size_bytes, self.bad = progress.size_bytes, progress.bad
        self._saved_at = self._due_at = self._read_from = time.monotonic()
        self._bytes_per_second = float(_REQUESTED_BYTES_PER_SECOND)
        if self._requested_at is None:
            # Somewhat faster than needed, to be done in time.
            self._bytes_per_second = max(_LEAST_BYTES_PER_SECOND, 1.2 * record.totals()[1] / (days * _DAY_SECONDS))

    def begin_read(self) -> None:
        """A read begins now."""
        self._read_from = time.monotonic()

    def pause(self, read_bytes: int) -> None:
        """Keep the rate, after a chunk. Raises _Interrupted."""
        now = time.monotonic()
        self._due_at = max(self._due_at, now) + read_bytes / self._bytes_per_second
        if self._stopping.wait(max(self._due_at - now, now - self._read_from)):
            raise _Interrupted
        self.begin_read()
        self._keep_up()

    def advance(self, one: Referenced, *, is_bad: bool) -> None:
        """An object was read. Raises _Interrupted."""
        self.after = one.object_name
        self.objects += 1
        self.size_bytes += one.size_bytes
        self.bad += is_bad
        self._keep_up()

    def save(self, **values: object) -> None:
        """Save the progress."""
        self._check_lease()
        self._saved_at = time.monotonic()
        self._record.save(after=self.after, objects=self.objects, size_bytes=self.size_bytes, bad=self.bad, **values)

    def _keep_up(self) -> None:
        if time.monotonic() < self._saved_at + _SAVE_SECONDS:
            return
        self.save()
        if self._record.progress().requested_at != self._requested_at:
            raise _Interrupted
