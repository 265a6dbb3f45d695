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
START_SECONDS = 60.0
STOP_SECONDS = 8.0
"""More than an app needs to finish its requests and threads."""
_TICK_SECONDS = 1.0


class NotStarted(Unavailable):
    """An app exited before it was ready, or took too long."""

    slug, title = "not-started", "Not started"


class Supervisor:
    """Keeps processes running. Use it in the main thread only: it waits for signals and children."""

    def __init__(
        self, processes: Sequence[Managed], signals: StopSignals, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._processes = processes
        self._signals = signals
        self._clock = clock

    def start(self, on_ready: Callable[[Managed], None]) -> bool:
        """Start everything at once and wait until all of it is ready. False if a signal came first.

        Raises:
            NotStarted: a process exited before it was ready, or 60 s passed.
        """
        for process in self._processes:
            process.start()
        told: set[Managed] = set()
        deadline = self._clock() + START_SECONDS
        while len(told) < len(self._processes):
            if self._signals.count:
                return False
            self._wait(deadline - self._clock())
            for process in self._processes:
                process.read_ready()
                if process.ready and process not in told:
                    told.add(process)
                    on_ready(process)
                if (code := process.reap()) is not None:
                    raise NotStarted(f"{process.wanted.name} did not start ({describe_exit(code)}).")
            if self._clock() > deadline:
                late = ", ".join(process.wanted.name for process in self._processes if process not in told)
                raise NotStarted(f"Not ready after {START_SECONDS:g} s: {late}.")
        return True

    def keep_running(self) -> None:
        """Restart processes that die, until a signal asks to stop."""
        while not self._signals.count:
            now = self._clock()
            for process in self._processes:
                process.read_ready()
                if (code := process.reap()) is not None:
                    delay = max(0.0, process.next_start_at - now)
                    _log.warning(
                        "%s exited (%s); restarting it in %.1f s", process.wanted.name, describe_exit(code), delay
                    )
                if process.pid is None and process.next_start_at <= self._clock():
                    process.start()
            self._wait(self._seconds_to_next_start())

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
