"""When a process takes and publishes samples. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

_EARLY = 0.05
"""A wait may end early by this part of an interval without repeating a moment."""


@dataclass(frozen=True, slots=True)
class PublishSchedule:
    """At a fixed interval, or at its multiples by the clock, so that each sample covers one whole minute."""

    interval_seconds: float
    by_the_clock: bool = False
    first_retry_seconds: float | None = None
    """Delay before the first retry. It doubles with each retry, up to half an interval. None: retry with the next
    sample."""

    def until_next(self, now: float) -> float:
        """Seconds until the next sample, if one was just taken, or none yet."""
        if not self.by_the_clock:
            return self.interval_seconds
        passed = math.floor(now / self.interval_seconds + _EARLY)
        return (passed + 1) * self.interval_seconds - now

    def longest_retry(self, failures: int) -> float | None:
        """Longest wait, in seconds, before the next retry after this many failures; None: no separate retry."""
        if self.first_retry_seconds is None or failures < 1:
            return None
        return min(self.first_retry_seconds * 2.0 ** min(failures - 1, 32), self.interval_seconds / 2)


EVERY_FIVE_SECONDS = PublishSchedule(5.0)
EACH_MINUTE = PublishSchedule(60.0, by_the_clock=True, first_retry_seconds=2.0)
