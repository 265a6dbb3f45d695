"""When a process takes its samples. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

_EARLY = 0.05
"""The part of an interval by which a wait may end too early, so that a moment is not taken twice."""


@dataclass(frozen=True, slots=True)
class PublishSchedule:
    """Every so many seconds, or at whole multiples of them by the clock: each sample is of one minute then."""

    interval_seconds: float
    by_the_clock: bool = False
    first_retry_seconds: float | None = None
    """What could not be published is tried again after so long, then after twice that and so on, up to half an
    interval; None: along with the next sample."""

    def until_next(self, now: float) -> float:
        """Seconds until the next sample is taken, where one was taken `now` or never."""
        if not self.by_the_clock:
            return self.interval_seconds
        passed = math.floor(now / self.interval_seconds + _EARLY)
        return (passed + 1) * self.interval_seconds - now

    def longest_retry(self, failures: int) -> float | None:
        """The most seconds to wait before the next attempt, after so many that failed; None: no attempt by itself."""
        if self.first_retry_seconds is None or failures < 1:
            return None
        return min(self.first_retry_seconds * 2.0 ** min(failures - 1, 32), self.interval_seconds / 2)


EVERY_FIVE_SECONDS = PublishSchedule(5.0)
EACH_MINUTE = PublishSchedule(60.0, by_the_clock=True, first_retry_seconds=2.0)
