"""Nodes as processes on this machine. They live as long as the supervisor's lifeline, not as long as this process."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from elastic_images.autoscaler.nodes.process_history import SILENCE_SECONDS, START_SECONDS
from elastic_images.core.assignment import MAX_NODES
from elastic_images.core.errors import Unavailable
from elastic_images.pool.life_lock import holder, is_held, node_lock_path

_log = logging.getLogger(__name__)
_STARTING_SECONDS = 5.0
"""How long a process counts as starting at most; a stuck one must not hold up the others."""


@dataclass(slots=True)
class _Stopping:
    kill_at: float
    killed: bool = False


class LocalNodeProvider:
    """A `NodeProvider` of local processes.

    A node is alive while it is a running child, or while its slot's lock is held. The lock file names the process, so a
    restarted autoscaler can stop it too.

    While nodes serve, others start one by one: a starting process keeps a core busy, and four at once would slow down
    those that serve.

    Args:
        command: returns the command line for a slot.
        data: the data folder, where the locks are.
        environ: the nodes' environment.
        lifeline_fd: the read end of the supervisor's lifeline, passed on to each node under the same number.
        starting_at_once: how many processes may be starting at a time.
        clock: seconds, never set back.
    """

    proves_death = True
    start_seconds = START_SECONDS
    silence_seconds = SILENCE_SECONDS

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        *,
        data: Path,
        environ: Mapping[str, str],
        lifeline_fd: int | None = None,
        starting_at_once: int = max(1, (os.cpu_count() or 1) // 2),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = command
        self._data = data
        self._environ = dict(environ)
        self._lifeline_fd = lifeline_fd
        self._starting_at_once = starting_at_once
        self._clock = clock
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._stopping: dict[int, _Stopping] = {}
        self._waiting: list[int] = []
        self._starting: dict[int, float] = {}
        """Slots whose process is starting, and since when."""

    def adopt(self) -> frozenset[int]:
        """See `NodeProvider`."""
        return self.alive()

    def launch(self, slot: int) -> None:
        """See `NodeProvider`. The node has its own session, so Ctrl-C reaches it only through the supervisor."""
        alive = self.alive()
        if slot in alive:
            return
        if self._may_start(alive):
            self._start(slot)
        else:
            self._waiting.append(slot)

    def _may_start(self, alive: Set[int]) -> bool:
        """Whether one more process may start now. A process has started when it holds its lock, or has ended."""
        now = self._clock()
        self._starting = {
            slot: since
            for slot, since in self._starting.items()
            if slot in self._children
            and now - since < _STARTING_SECONDS
            and holder(node_lock_path(self._data, slot)) != self._children[slot].pid
        }
        serving = alive - self._starting.keys() - set(self._waiting)
        return not serving or len(self._starting) < self._starting_at_once

    def _start(self, slot: int) -> None:
        kept = () if self._lifeline_fd is None else (self._lifeline_fd,)
        try:
            child = subprocess.Popen(  # noqa: S603 - our own command
                list(self._command(slot)),
                env=self._environ,
                stdin=subprocess.DEVNULL,
                pass_fds=kept,
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"The process of node {slot} cannot be started: {error.strerror}.") from error
        self._children[slot] = child
        self._starting[slot] = self._clock()

    def take_failures(self) -> dict[int, str]:
        """See `NodeProvider`. Empty: `launch` reports every failure."""
        return {}

    def terminate(self, slot: int, drain_seconds: float) -> None:
        """See `NodeProvider`: SIGTERM, then SIGKILL."""
        if slot in self._waiting:
            self._waiting.remove(slot)
        if slot not in self.alive():
            return
        kill_at = self._clock() + drain_seconds
        known = self._stopping.get(slot)
        if known is None:
            self._stopping[slot] = _Stopping(kill_at)
            if not self._signal(slot, signal.SIGTERM):
                _log.warning("node %d is alive, but its process cannot be signalled", slot)
        else:
            known.kill_at = min(known.kill_at, kill_at)
        self._kill_overdue()

    def alive(self) -> frozenset[int]:
        """See `NodeProvider`. Reaps children, and kills those that have drained for too long."""
        alive = frozenset(slot for slot in range(MAX_NODES) if self._is_alive(slot))
        self._stopping = {slot: stopping for slot, stopping in self._stopping.items() if slot in alive}
        self._kill_overdue()
        return alive | self._start_waiting(alive)

    def _start_waiting(self, alive: Set[int]) -> frozenset[int]:
        """Start waiting slots whose turn it is. Returns all that waited: they count as alive."""
        waited = frozenset(self._waiting)
        while self._waiting and self._may_start(alive):
            slot = self._waiting.pop(0)
            try:
                self._start(slot)
            except Unavailable as error:
                # The next call of `alive` leaves the slot out, and it is launched again.
                _log.warning("%s", error)
        return waited

    def close(self) -> None:
        """See `NodeProvider`."""
        for child in self._children.values():
            # Another process will reap it; a Popen dropped before its process ended would warn.
            child.returncode = 0 if child.poll() is None else child.returncode
        self._children.clear()
        self._waiting.clear()

    def _is_alive(self, slot: int) -> bool:
        child = self._children.get(slot)
        if child is not None:
            if child.poll() is None:
                return True
            _log.info("the process of node %d ended with %s", slot, child.returncode)
            del self._children[slot]
        try:
            return is_held(node_lock_path(self._data, slot))
        except OSError as error:
            _log.warning("cannot read the lock of node %d: %s", slot, error)
            return True

    def _kill_overdue(self) -> None:
        for slot, stopping in self._stopping.items():
            if not stopping.killed and self._clock() >= stopping.kill_at:
                stopping.killed = self._signal(slot, signal.SIGKILL)

    def _signal(self, slot: int, number: int) -> bool:
        """Send a signal to the slot's process. False if it is unknown or gone."""
        child = self._children.get(slot)
        if child is not None:
            child.send_signal(number)
            return True
        process = holder(node_lock_path(self._data, slot))
        if process is None:
            return False
        try:
            os.kill(process, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True
