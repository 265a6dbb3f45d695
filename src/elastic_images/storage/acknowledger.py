"""From the commit of a change to its acknowledgement: every cache is told, or the change stays pending."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from elastic_images.core.errors import Unavailable
from elastic_images.storage.catalog.change_log import ChangeLog
from elastic_images.storage.crash_points import CrashPoint, no_crash

_log = logging.getLogger(__name__)

ACKNOWLEDGE_SECONDS = 10.0
TAKE_UP_SECONDS = 5.0
"""A change that has been pending for so long is taken up by any storage process."""
_RETRY_AFTER_SECONDS = 5
_BATCH = 500


class Invalidates(Protocol):
    """Steps 3 and 4 of a write (`pool.invalidation.Invalidator`)."""

    def invalidate(self, keys: Sequence[str], deadline: float) -> None:
        """Return when no copy of `keys` can be read. Raises Unavailable at `deadline` (monotonic clock)."""


class Acknowledger:
    """Tells the caches, and keeps which changes are done until they are marked so, in batches.

    Safe to share between threads. A batch that is lost with its process is told to the caches once more, no harm.
    """

    def __init__(
        self,
        changes: ChangeLog,
        invalidator: Invalidates,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        crash_point: CrashPoint = no_crash,
    ) -> None:
        self._changes = changes
        self._invalidator = invalidator
        self._clock = clock
        self._monotonic = monotonic
        self._crash_point = crash_point
        self._lock = threading.Lock()
        self._done: set[int] = set()

    def acknowledge(self, keys: Sequence[str], change_ids: Sequence[int]) -> None:
        """Return when the writes of `keys` may be acknowledged: no older bytes can be read.

        Raises:
            Unavailable: not within 10 s; the writes are safe and will be finished.
        """
        try:
            self._invalidator.invalidate(keys, self._monotonic() + ACKNOWLEDGE_SECONDS)
        except Unavailable as error:
            raise Unavailable(
                "The change is stored, but a cache does not answer yet; it will be finished.",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            ) from error
        self._crash_point("invalidated")
        with self._lock:
            self._done.update(change_ids)
        self._crash_point("acknowledged")

    def mark_done(self) -> None:
        """Write down what was acknowledged since the last call."""
        with self._lock:
            ids = sorted(self._done)
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            self._changes.mark_done(batch)
            with self._lock:
                self._done.difference_update(batch)

    def take_up(self, min_age_seconds: float = TAKE_UP_SECONDS) -> int:
        """Finish the changes that have been pending for so long; gives how many. 0 seconds: all of them.

        Raises:
            Unavailable: a cache does not answer; the rest stays pending.
        """
        self.mark_done()
        finished, before = 0, self._clock() - min_age_seconds
        while pending := self._changes.pending(before, _BATCH):
            keys = list(dict.fromkeys(change.key for change in pending))
            self.acknowledge(keys, [change.id for change in pending])
            self.mark_done()
            finished += len(pending)
        if finished:
            _log.info("finished %d changes that were left pending", finished)
        return finished
