"""How a measurement ends early: everything that it started is stopped."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

_STOPPED = 130
"""The exit code of an interrupted command, as in shells."""


def in_order(measure: Callable[[], int]) -> int:
    """Run `measure` and return its exit code. Ctrl-C and SIGTERM stop it and all it started. Main thread only."""
    try:
        with _signals():
            return measure()
    except KeyboardInterrupt:
        print("Stopped; everything that was started is gone.", file=sys.stderr)
        return _STOPPED


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does. Further signals do not interrupt the cleanup."""
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
