"""The supervisor's loop: keeps the wanted processes running until a signal asks to stop."""

from __future__ import annotations

import logging
import select
import signal
import time
from collections.abc import Callable, Sequence

from elastic_images.core.errors import Unavailable
from elastic_images.process.stop_signals import StopSignals
from elastic_images.supervisor.processes import Managed

_log = logging.getLogger(__name__)
SLOW_START_SECONDS = 20.0
"""A start that takes longer is mentioned, again and again."""
STOP_SECONDS = 8.0
"""More than an app needs to finish its requests and threads."""
_TICK_SECONDS = 1.0


class NotStarted(Unavailable):
    """An app exited before it was ready."""

    slug, title = "not-started", "Not started"


class Supervisor:
    """Keeps processes running. Use it in the main thread only: it waits for signals and children."""

    def __init__(
        self, processes: Sequence[Managed], signals: StopSignals, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._processes = processes
        self._signals = signals
        self._clock = clock
        self._mentioned_at: dict[Managed, float] = {}
        """How long a process had been starting when that was last mentioned."""

    def start(self, on_ready: Callable[[Managed], None]) -> bool:
        """Start everything at once and wait until all of it was ready once. False if a signal came first.

        A slow start is waited for.

        Raises:
            NotStarted: a process exited before it was ready.
        """
        for process in self._processes:
            process.start()
        told: set[Managed] = set()
        while len(told) < len(self._processes):
            if self._signals.count:
                return False
            self._wait(self._seconds_to_next_start())
            for process in self._processes:
                code = self._look_after(process)
                if process.ready and process not in told:
                    told.add(process)
                    on_ready(process)
                if code is not None and process not in told and not process.killed_as_hung:
                    raise NotStarted(f"{process.wanted.name} did not start ({describe_exit(code)}).")
                self._start_if_due(process, code)
        return True

    def keep_running(self) -> None:
        """Replace processes that die or hang, until a signal asks to stop."""
        while not self._signals.count:
            for process in self._processes:
                self._start_if_due(process, self._look_after(process))
            self._wait(self._seconds_to_next_start())

    def _look_after(self, process: Managed) -> int | None:
        """Note whether it is ready, kill it if it hangs. Returns its exit code if it has ended."""
        process.read_ready()
        if (why := process.kill_if_hung()) is not None:
            _log.warning("%s hangs (%s); killing it", process.wanted.name, why)
        code = process.reap()
        if process.pid is not None and not process.ready:
            self._mention_slow_start(process)
        return code

    def _start_if_due(self, process: Managed, code: int | None) -> None:
        """Start it again once its delay is over. `code`: its exit code if it has just ended."""
        if code is not None:
            delay = max(0.0, process.next_start_at - self._clock())
            _log.warning("%s exited (%s); restarting it in %.1f s", process.wanted.name, describe_exit(code), delay)
        if process.pid is None and process.next_start_at <= self._clock():
            self._mentioned_at[process] = 0.0
            process.start()

    def _mention_slow_start(self, process: Managed) -> None:
        seconds = process.running_seconds
        if seconds - self._mentioned_at.get(process, 0.0) >= SLOW_START_SECONDS:
            self._mentioned_at[process] = seconds
            _log.warning("%s is still starting (%.0f s)", process.wanted.name, seconds)

    def stop(self, order: Sequence[Sequence[str]]) -> None:
        """Stop the apps, group by group: SIGTERM, then SIGKILL after 8 s or at another signal."""
        for group in order:
            members = [process for process in self._processes if process.wanted.app in group]
            deadline = self._clock() + STOP_SECONDS
            next_signal = self._signals.count + 1
            for process in members:
                process.signal(signal.SIGTERM)
            while self._alive(members) and self._clock() < deadline and self._signals.count < next_signal:
                self._signals.pause(min(0.2, max(0.0, deadline - self._clock())))
            for process in self._alive(members):
                _log.warning("%s did not stop in time; killing it", process.wanted.name)
                process.signal(signal.SIGKILL)
            while self._alive(members):
                self._signals.pause(0.05)

    def _alive(self, members: Sequence[Managed]) -> list[Managed]:
        for process in members:
            process.reap()
        return [process for process in members if process.pid is not None]

    def _seconds_to_next_start(self) -> float:
        planned = [process.next_start_at for process in self._processes if process.pid is None]
        return min([_TICK_SECONDS, *(max(0.0, at - self._clock()) for at in planned)])

    def _wait(self, seconds: float) -> None:
        """Wait for a signal, a child's exit or a ready line, for `seconds` or a tick at most."""
        pipes = [process.ready_fd for process in self._processes if process.ready_fd is not None]
        select.select([self._signals.fileno(), *pipes], [], [], min(max(0.0, seconds), _TICK_SECONDS))
        self._signals.drain()


def describe_exit(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
