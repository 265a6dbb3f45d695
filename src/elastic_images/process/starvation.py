"""A clock for judging others by time, which hardly runs while this process itself is starved.

A busy machine that delays the others' answers delays this process, too. A ticking thread measures that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TICK_SECONDS = 0.05
TOLERANCE_SECONDS = 0.01
"""A tick that is later than this shows that the process was starved."""
_SHARE = 0.1
"""How much of a starved moment still counts, so that patience ends at last."""


class PatientClock:
    """A clock that runs at a tenth of the real speed while this process is starved, and never faster than real time.

    If a tick is late, all of the time since the previous one counts as starved, because an answer needs several threads
    to get their turn. Safe to share between threads. Until `start` it keeps real time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left_out = 0.0
        self._ticked_at: float | None = None
        self._shown = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="starvation", daemon=True)

    def __call__(self) -> float:
        """Seconds since some fixed moment; never set back."""
        with self._lock:
            return self._read(self._clock())

    def start(self) -> None:
        """Start the thread that ticks. Call it once."""
        self.tick()
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Does nothing before `start`."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def tick(self) -> None:
        """Note that the thread got its turn."""
        with self._lock:
            now = self._clock()
            self._left_out = now - self._read(now)
            self._ticked_at = now

    def _read(self, now: float) -> float:
        elapsed = now - self._ticked_at if self._ticked_at is not None else 0.0
        late = elapsed > TICK_SECONDS + TOLERANCE_SECONDS
        shown = now - self._left_out - ((1 - _SHARE) * elapsed if late else 0.0)
        # Finding out that a tick is late must not set the clock back.
        self._shown = max(self._shown, shown)
        return self._shown

    def _run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            self.tick()
