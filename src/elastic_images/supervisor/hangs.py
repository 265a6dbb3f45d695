"""Tells a hung process from a busy or starved one, by its heartbeat and by what the kernel knows of its threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

STOPPED_SECONDS = 5.0
"""How long a process may be stopped (SIGSTOP), in seconds. Nothing but a person ever continues it."""
LATE_SECONDS = 5.0
"""A heartbeat, or a loop's turn, is late after this; both come each second or more often."""
ACTIVE_SHARE = 0.05
"""A process whose threads computed or waited for a processor for this share of the time was active."""
_LONGEST_STEP_SECONDS = 2.0
"""What one observation adds at most: if the supervisor itself was held up, so was everyone else."""
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Threads:
    """What the kernel knows of a process."""

    state: str
    """`T` stopped, `t` held by a debugger, `R` if any thread is running or waiting for a processor."""
    active_seconds: Mapping[int, float]
    """For each thread, how long it has computed or waited for a processor."""


Look = Callable[[int], Threads | None]


def supported(proc: Path = _PROC) -> bool:
    """Whether this system tells what `look` reads (Linux does)."""
    return (proc / "self" / "schedstat").exists()


def look(pid: int, proc: Path = _PROC) -> Threads | None:
    """The threads of a process; None if it is gone."""
    folder = proc / str(pid)
    try:
        state = _state(folder)
        active = {}
        for thread in os.listdir(folder / "task"):  # noqa: PTH208 - names are enough
            try:
                ran, waited, *_ = (folder / "task" / thread / "schedstat").read_text(encoding="ascii").split()
                # The kernel counts a wait once it is over.
                state = "R" if state not in "Tt" and _state(folder / "task" / thread) == "R" else state
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
            active[int(thread)] = (int(ran) + int(waited)) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Threads(state, active)


def _state(folder: Path) -> str:
    # The name before the state may hold spaces and parentheses.
    return (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]


class HangDetector:
    """Observes one process. Rules only; it has no clock.

    It is hung if it has been stopped for 5 s, or if it has been silent for `hang_seconds` while its threads neither
    computed nor waited for a processor. Silent: no heartbeat arrived, or its loops did not turn. A process that has not
    sent a heartbeat yet is starting, and only counts as hung if it is stopped. One that a debugger holds is left alone.

    Args:
        hang_seconds: 0 means never.
    """

    def __init__(self, hang_seconds: float, look: Look = look) -> None:
        self._hang_seconds = hang_seconds
        self._look = look
        self._heard_at: float | None = None
        self._late_loops: tuple[str, ...] = ()
        self._observed_at: float | None = None
        self._active: Mapping[int, float] | None = None
        self._silent_seconds = self._stopped_seconds = 0.0

    def beat(self, ages: Mapping[str, float], now: float) -> None:
        """A heartbeat arrived, with the seconds since each loop's last turn."""
        self._late_loops = tuple(sorted(name for name, age in ages.items() if age >= LATE_SECONDS))
        if not self._late_loops or self._heard_at is None:
            self._heard_at = now

    def why_hung(self, pid: int, now: float) -> str | None:
        """Why the process counts as hung, in words; None if it does not. Call it about each second."""
        before, self._observed_at = self._observed_at, now
        fresh = self._heard_at is not None and now - self._heard_at < LATE_SECONDS
        if not self._hang_seconds or before is None or fresh:
            self._silent_seconds = self._stopped_seconds = 0.0
            self._active = None
            return None
        threads = self._look(pid)
        if threads is None:
            return None
        step = min(now - before, _LONGEST_STEP_SECONDS)
        self._stopped_seconds = self._stopped_seconds + step if threads.state == "T" else 0.0
        if self._heard_at is not None and not self._was_active(threads, now - before):
            self._silent_seconds += step
        if self._stopped_seconds >= STOPPED_SECONDS:
            return f"stopped for {self._stopped_seconds:.0f} s"
        if self._silent_seconds >= self._hang_seconds:
            what = f"{', '.join(self._late_loops)} did not turn" if self._late_loops else "no heartbeat"
            return f"{what} for {now - (self._heard_at or now):.0f} s, and it was idle"
        return None

    def _was_active(self, threads: Threads, seconds: float) -> bool:
        """Whether its threads computed or waited for a processor since the last look, or a debugger holds them."""
        before, self._active = self._active, threads.active_seconds
        if before is None or threads.state in "Rt":
            return True
        spent = sum(max(0.0, active - before.get(thread, 0.0)) for thread, active in threads.active_seconds.items())
        return spent >= ACTIVE_SHARE * seconds
