"""The clock for leases."""

from __future__ import annotations

import time

# macOS has no CLOCK_BOOTTIME, but its CLOCK_MONOTONIC runs while the machine sleeps.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def lease_clock() -> float:
    """Seconds since some fixed moment, including time that the machine was suspended."""
    return time.clock_gettime(_CLOCK)
