"""From a change's commit to its acknowledgement: every cache is invalidated, or the change stays pending."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from elastic_images.core.errors import Unavailable
from elastic_images.pool.invalidation import Invalidator
from elastic_images.storage.catalog.change_log import ChangeLog
from elastic_images.storage.crash_points import CrashPoint, no_crash

_log = logging.getLogger(__name__)

ACKNOWLEDGE_SECONDS = 10.0
TAKE_UP_SECONDS = 5.0
"""Changes that have been pending for longer are finished by any storage process."""
_RETRY_AFTER_SECONDS = 5
_BATCH = 500


class Acknowledger:
    """Invalidates the caches, and marks changes as done in batches.

    Safe to share between threads. If a batch is lost with its process, its keys are invalidated again, which is
    harmless.
    """

    def __init__(
        self,
        changes: ChangeLog,
        invalidator: Invalidator,
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
        """Return once the writes of `keys` may be acknowledged: no older bytes can be read.

        Raises:
            Unavailable: a cache did not answer within 10 s; the writes are stored and will be finished.
        """
        try:
            self._invalidator.invalidate_everywhere(keys, self._monotonic() + ACKNOWLEDGE_SECONDS)
        except Unavailable as error:
            raise Unavailable(
                "The change is stored, but a cache is not responding yet; it will be finished.",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            ) from error
        self._crash_point("invalidated")
        with self._lock:
            self._done.update(change_ids)
        self._crash_point("acknowledged")

    def mark_done(self) -> None:
        """Mark the changes acknowledged since the last call as done."""
        with self._lock:
            ids = sorted(self._done)
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            self._changes.mark_done(batch)
            with self._lock:
                self._done.difference_update(batch)

    def take_up(self, min_age_seconds: float = TAKE_UP_SECONDS) -> int:
        """Finish the changes that have been pending for `min_age_seconds`; gives their number.

        Raises:
            Unavailable: a cache is not responding; the rest stays pending.
        """
        self.mark_done()
        finished, before = 0, self._clock() - min_age_seconds
        while pending := self._changes.pending(before, _BATCH):
            keys = list(dict.fromkeys(change.key for change in pending))
            self.acknowledge(keys, [change.id for change in pending])
            self.mark_done()
            finished += len(pending)
        if finished:
            _log.info("finished %d pending changes", finished)
        return finished
