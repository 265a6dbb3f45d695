"""Real processes in place of nodes: they hold the lock of their slot, as a node does, and wait."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from testing.waiting import wait_for

from elastic_images.autoscaler.nodes.local import LocalNodeProvider
from elastic_images.pool.life_lock import holder, node_lock_path

STAND_IN = """
import fcntl, json, os, signal, sys, threading
path, stubborn, lifeline = sys.argv[1], sys.argv[2], sys.argv[3]
os.makedirs(os.path.dirname(path), exist_ok=True)
if stubborn == "yes":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = open(path, "a+")
fcntl.flock(lock, fcntl.LOCK_EX)
lock.truncate(0)
lock.write(json.dumps({"pid": os.getpid()}))
lock.flush()
if lifeline:
    os.read(int(lifeline), 1)
    os._exit(0)
threading.Event().wait()
"""


class _Remembering(LocalNodeProvider):
    """Keeps the children that it lets go of, which would be this process's zombies."""

    def __init__(self, let_go: list[int], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._let_go = let_go

    def close(self) -> None:
        self._let_go += [child.pid for child in self._children.values()]
        super().close()


class LocalNodes:
    """A LocalNodeProvider of stand-ins. `close` ends and reaps every one that was ever launched."""

    def __init__(
        self, data: Path, python: str, lifeline_fd: int | None = None, starting_at_once: int | None = None
    ) -> None:
        self.data = data
        self._python = python
        self._lifeline_fd = lifeline_fd
        self._bounds = {} if starting_at_once is None else {"starting_at_once": starting_at_once}
        self._stubborn: set[int] = set()
        self._children: list[int] = []
        self.provider = self._provider()

    def _provider(self) -> LocalNodeProvider:
        lifeline = "" if self._lifeline_fd is None else str(self._lifeline_fd)

        def command(slot: int) -> list[str]:
            stubborn = "yes" if slot in self._stubborn else "no"
            path = str(node_lock_path(self.data, slot))
            return [self._python, "-S", "-c", STAND_IN, path, stubborn, lifeline]

        return _Remembering(
            self._children,
            command,
            data=self.data,
            environ=os.environ,
            lifeline_fd=self._lifeline_fd,
            **self._bounds,
        )

    def launch_stubborn(self, slot: int) -> None:
        """Launch one that does not heed SIGTERM, and wait until it holds its lock."""
        self._stubborn.add(slot)
        self.provider.launch(slot)
        self.pid(slot)

    def pid(self, slot: int) -> int:
        """The process of the slot, once it holds the lock."""

        def found() -> int | None:
            # As the one loop that uses it does: nodes may wait for their turn to start.
            self.provider.alive()
            return holder(node_lock_path(self.data, slot))

        return wait_for(found, f"a process holds the lock of slot {slot}")

    def crash(self, slot: int) -> None:
        os.kill(self.pid(slot), signal.SIGKILL)

    def hang(self, slot: int) -> None:
        os.kill(self.pid(slot), signal.SIGSTOP)

    def restart_provider(self) -> LocalNodeProvider:
        """Another provider, that knows nothing of the first."""
        self.provider.close()
        self.provider = self._provider()
        return self.provider

    def close(self) -> None:
        self.provider.close()
        for pid in self._children:
            # Not yet waited for, so its number is still its own.
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
