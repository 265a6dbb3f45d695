"""A reload: each process is replaced by a new one that is ready, while the old one still serves."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from elastic_images.process.stop_signals import REPLACED
from elastic_images.supervisor.processes import Managed, describe_exit

READY_SECONDS = 120.0
"""How long a new process may take until it is ready; after that it is killed, and the old one stays."""
LEAVE_SECONDS = 40.0
"""How long an old process may take to exit: it answers on its connections for 15 s, and then stops."""

Report = Callable[[Mapping[str, Any]], None]


class Reload:
    """Replaces the processes one after another, so that starting them takes little from those that serve.

    It changes the given list in place. For the supervisor's thread.
    """

    def __init__(self, processes: list[Managed], report: Report) -> None:
        """`report` gets a line for each start and each result, and a last one with `done`."""
        self._processes = processes
        self._report = report
        self._todo = deque(processes)
        self._old: Managed | None = None
        self._why = ""
        self._new: list[str] = []
        self._stayed: dict[str, str] = {}
        self.successor: Managed | None = None
        """The process that is starting."""

    @property
    def replacing(self) -> Managed | None:
        """The process that `successor` will replace."""
        return self._old

    def step(self) -> Managed | None:
        """Do what is due. Returns a process that has just been replaced, which will exit by itself."""
        if self.successor is None:
            self._start_next()
            return None
        return self._look_at(self.successor)

    @property
    def done(self) -> bool:
        """Whether every process was replaced, or stays."""
        return self.successor is None and not self._todo

    def tell_result(self) -> None:
        """Report the result of all."""
        self._report({"done": True, "ok": not self._stayed, "new": self._new, "old": self._stayed})

    def _start_next(self) -> None:
        self._old = self._todo.popleft()
        self._why = ""
        self.successor = self._old.successor()
        self.successor.start()
        self._report({"process": self._old.wanted.name, "state": "starting"})

    def _look_at(self, new: Managed) -> Managed | None:
        new.read_ready()
        if new.ready:
            return self._replace(new)
        if new.running_seconds > READY_SECONDS and not self._why:
            self._why = f"the new process was not ready after {READY_SECONDS:g} s"
            new.signal(signal.SIGKILL)
        if (code := new.reap()) is not None:
            why = self._why or f"the new process ended before it was ready ({describe_exit(code)})"
            self._stayed[new.wanted.name] = why
            self._report({"process": new.wanted.name, "state": "old", "reason": why})
            self._old = self.successor = None
        return None

    def _replace(self, new: Managed) -> Managed | None:
        old, self._old, self.successor = self._old, None, None
        if old is None:
            raise AssertionError("a successor replaces a process")
        self._processes[self._processes.index(old)] = new
        # One that is still starting does not listen to the signal yet.
        old.signal(REPLACED if old.ready else signal.SIGTERM)
        self._new.append(new.wanted.name)
        self._report({"process": new.wanted.name, "state": "new"})
        return old
