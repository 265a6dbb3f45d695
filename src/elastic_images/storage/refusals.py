"""Uploads that were refused, by reason: counted and logged."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from elastic_images.core import errors
from elastic_images.core.errors import ElasticImagesError

_log = logging.getLogger(__name__)
_MINUTE_SECONDS = 60.0
_HOUR_MINUTES = 60
_COMMON = (
    errors.EmptyBody,
    errors.IncompleteBody,
    errors.Forbidden,
    errors.Conflict,
    errors.PreconditionFailed,
    errors.TooLarge,
    errors.NotAnImage,
    errors.BrokenImage,
    errors.Unavailable,
    errors.StoreAway,
    errors.OutOfSpace,
)
"""Counted from 0, so that a rate can be computed from the first one."""


@dataclass
class _Told:
    """What the log says of one reason."""

    level: int
    at: float = float("-inf")
    waiting: int = 0
    """Refused since the last line."""


class Refusals:
    """The reason is the slug of the error's problem document. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._totals: Counter[str] = Counter({kind.slug: 0 for kind in _COMMON})
        self._minutes: deque[tuple[int, Counter[str]]] = deque(maxlen=_HOUR_MINUTES)
        self._told: dict[str, _Told] = {}

    def note(self, error: ElasticImagesError) -> None:
        """Count one. The first of its reason is logged, and then one line a minute says how many there were."""
        now = self._clock()
        with self._lock:
            self._totals[error.slug] += 1
            minute = int(now // _MINUTE_SECONDS)
            if not self._minutes or self._minutes[-1][0] != minute:
                self._minutes.append((minute, Counter()))
            self._minutes[-1][1][error.slug] += 1
            told = self._told.setdefault(error.slug, _Told(logging.WARNING if error.is_ours else logging.INFO))
            if now < told.at + _MINUTE_SECONDS:
                told.waiting += 1
                return
            more, told.waiting, told.at = told.waiting, 0, now
        _log.log(told.level, "upload refused, %s: %s%s", error.slug, error, f" ({more} more before)" if more else "")

    def log_waiting(self) -> None:
        """Write the lines that are due. Call it every few seconds."""
        now = self._clock()
        with self._lock:
            due = {
                slug: (told, told.waiting)
                for slug, told in self._told.items()
                if told.waiting and now >= told.at + _MINUTE_SECONDS
            }
            for told, _ in due.values():
                told.at, told.waiting = now, 0
        for slug, (told, count) in due.items():
            _log.log(told.level, "uploads refused, %s: %d more since the last line", slug, count)

    def totals(self) -> dict[str, int]:
        """How many since the start of the process, by reason."""
        with self._lock:
            return dict(self._totals)

    def last_hour(self) -> dict[str, int]:
        """How many in the last 60 minutes, by reason; the most frequent ones first."""
        with self._lock:
            oldest = int(self._clock() // _MINUTE_SECONDS) - _HOUR_MINUTES
            found: Counter[str] = sum((counts for minute, counts in self._minutes if minute > oldest), Counter())
        return dict(found.most_common())
