"""Signals that ask a process to stop: the handlers only set a flag, which the main loop acts on."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from types import FrameType
from typing import Any

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
REPLACED = signal.SIGUSR1
"""Says that a successor serves."""


class StopSignals:
    """While entered, SIGTERM, SIGINT, SIGHUP and SIGUSR1 set flags that `wait` waits for. Enter it in the main thread.

    With `children`, the end of a child process wakes it as well.

    It uses a pipe, not an Event: handlers run in the main thread, between any two of its steps, and setting an Event
    while the same thread is inside its `wait` may deadlock. The interpreter's C handler writes to the pipe, too
    (`signal.set_wakeup_fd`): otherwise a signal that arrives at another thread, or just before this one falls asleep,
    would only be noticed at the next wake.
    """

    def __init__(self, *, children: bool = False) -> None:
        self._children = children
        self._previous: dict[signal.Signals, Any] = {}
        self._count = 0
        self.replaced = False
        """Whether SIGUSR1 has arrived."""

    def __enter__(self) -> StopSignals:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        os.set_blocking(self._reader, False)
        self._previous_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in _STOPPING:
            self._previous[number] = signal.signal(number, self._handle)
        self._previous[REPLACED] = signal.signal(REPLACED, self._handle_replaced)
        if self._children:
            self._previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: self.wake())
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_wakeup)
        os.close(self._reader)
        os.close(self._writer)

    @property
    def count(self) -> int:
        """How many stop signals have arrived."""
        return self._count

    def fileno(self) -> int:
        """For select: readable after a signal or a `wake`, until `drain`."""
        return self._reader

    def wake(self) -> None:
        """End the current `wait`, or the next one, without asking to stop. From any thread."""
        with contextlib.suppress(BlockingIOError):  # full: it will wake anyway
            os.write(self._writer, b".")

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for a signal, a `wake` or the timeout. True if one has arrived, now or before."""
        if not self._arrived:
            select.select([self._reader], [], [], timeout_seconds)
        self.drain()
        return self._arrived

    def pause(self, seconds: float) -> None:
        """Wait for another signal or `wake`, at most `seconds`."""
        select.select([self._reader], [], [], seconds)
        self.drain()

    def drain(self) -> None:
        """Forget past wakes."""
        try:
            while os.read(self._reader, 1024):
                pass
        except BlockingIOError:
            pass

    @property
    def _arrived(self) -> bool:
        return self._count > 0 or self.replaced

    def _handle_replaced(self, _number: int, _frame: FrameType | None) -> None:
        self.replaced = True
        self.wake()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self.wake()
