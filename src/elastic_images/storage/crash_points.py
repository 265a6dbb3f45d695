"""Named points in a write at which a test may crash the process. In production they do nothing."""

from __future__ import annotations

from collections.abc import Callable

CrashPoint = Callable[[str], None]

CRASH_POINTS = (
    "received",
    "checked",
    "object-written",
    "object-flushed",
    "object-renamed",
    "stored",
    "before-commit",
    "committed",
    "invalidated",
    "acknowledged",
)
"""In the order in which a write passes them; deletions and restores start at `before-commit`."""
COLLECTOR_CRASH_POINTS = ("claimed", "unlinked", "collected")
"""In the order in which the collector passes them."""


def no_crash(name: str) -> None:
    """Do nothing."""
