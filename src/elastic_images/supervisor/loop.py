"""The supervisor's loop: keeps the wanted processes running until a signal asks to stop."""

from __future__ import annotations

import logging
import select
import signal
import time
from collections.abc import Callable, Sequence

from elastic_images.core.errors import Unavailable
from elastic_images.process.stop_signals import StopSignals
from elastic_images.supervisor.control import Client, ControlSocket
from elastic_images.supervisor.processes import Managed, describe_exit
from elastic_images.supervisor.reload import LEAVE_SECONDS, Reload

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
        self,
        processes: Sequence[Managed],
        signals: StopSignals,
        *,
        steer: Callable[[Sequence[bool]], None] = lambda _running: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`steer` is told again and again which processes run (`Listeners.steer`).

        One that is starting counts: it becomes ready once a connection of its own has reached it.
        """
        self._processes = list(processes)
        self._leaving: dict[Managed, float] = {}
        """Replaced processes, and when each is killed."""
        self._reload: Reload | None = None
        self._asker: Client | None = None
        self._control: ControlSocket | None = None
        self._signals = signals
        self._steer = steer
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
            self._steer([process.pid is not None for process in self._processes])
        return True

    def keep_running(self, control: ControlSocket | None = None) -> None:
        """Replace processes that die or hang, and reload when `control` is asked to, until a signal asks to stop."""
        self._control = control
        while not self._signals.count:
            for process in self._processes:
                self._start_if_due(process, self._look_after(process))
            self._take_requests()
            self._go_on_reloading()
            self._see_off()
            self._steer([process.pid is not None for process in self._processes])
            self._wait(self._seconds_to_next_start())

    def _take_requests(self) -> None:
        for client, request in self._control.requests() if self._control is not None else ():
            if request != {"command": "reload"}:
                client.tell({"error": "Unknown request."})
            elif self._reload is not None:
                client.tell({"error": "A reload is under way.", "busy": True})
            else:
                _log.info("reloading")
                self._reload, self._asker = Reload(self._processes, client.tell), client
                continue
            client.close()

    def _go_on_reloading(self) -> None:
        if self._reload is None:
            return
        if (replaced := self._reload.step()) is not None:
            self._leaving[replaced] = self._clock() + LEAVE_SECONDS
        if self._reload.done:
            self._reload.tell_result()
            self._reload = None
            if self._asker is not None:
                self._asker.close()

    def _see_off(self) -> None:
        """Reap replaced processes, and kill those that do not exit."""
        for process, deadline in list(self._leaving.items()):
            if process.pid is None or process.reap() is not None:
                del self._leaving[process]
            elif self._clock() > deadline:
                _log.warning("the old process of %s did not exit; killing it", process.wanted.name)
                process.signal(signal.SIGKILL)

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
        awaits_successor = self._reload is not None and process is self._reload.replacing
        if process.pid is None and process.next_start_at <= self._clock() and not awaits_successor:
            self._mentioned_at[process] = 0.0
            process.start()

    def _mention_slow_start(self, process: Managed) -> None:
        seconds = process.running_seconds
        if seconds - self._mentioned_at.get(process, 0.0) >= SLOW_START_SECONDS:
            self._mentioned_at[process] = seconds
            _log.warning("%s is still starting (%.0f s)", process.wanted.name, seconds)

    def stop(self, order: Sequence[Sequence[str]]) -> None:
        """Stop the apps, group by group: SIGTERM, then SIGKILL after 8 s or at another signal."""
        starting = self._reload.successor if self._reload is not None else None
        everyone = [*self._processes, *self._leaving, *([starting] if starting else [])]
        for group in order:
            members = [process for process in everyone if process.wanted.app in group]
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
        if self._reload is not None and self._reload.successor is None:
            return 0.0
        planned = [process.next_start_at for process in self._processes if process.pid is None]
        return min([_TICK_SECONDS, *(max(0.0, at - self._clock()) for at in planned)])

    def _wait(self, seconds: float) -> None:
        """Wait for a signal, a child's exit or a ready line, for `seconds` or a tick at most."""
        starting = [self._reload.successor] if self._reload is not None and self._reload.successor is not None else []
        pipes = [process.ready_fd for process in (*self._processes, *starting) if process.ready_fd is not None]
        control = self._control.descriptors if self._control is not None else []
        select.select([self._signals.fileno(), *pipes, *control], [], [], min(max(0.0, seconds), _TICK_SECONDS))
        self._signals.drain()
