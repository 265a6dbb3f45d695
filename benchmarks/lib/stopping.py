"""How a measurement ends early: in order, with everything stopped that it started."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

_STOPPED = 130
"""The exit code of what was interrupted, as shells have it."""


def in_order(measure: Callable[[], int]) -> int:
    """`measure()` and its exit code. Ctrl-C and SIGTERM end it early: what it started is stopped. Main thread only."""
    try:
        with _signals():
            return measure()
    except KeyboardInterrupt:
        print("Stopped; everything that was started is gone.", file=sys.stderr)
        return _STOPPED


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does. Whoever asks again does not disturb the stopping."""
    numbers = (signal.SIGTERM, signal.SIGINT)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
