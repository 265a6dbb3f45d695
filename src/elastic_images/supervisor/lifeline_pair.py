"""The supervisor's end of the lifeline: it tells everyone when we are gone, and us when everyone is.

It is a pair of connected sockets. Ours is never inherited, so the other end reads end of file as soon as we are gone.
The other end is inherited by every process, nodes too; once the last of them ended, ours reads end of file.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from types import TracebackType


class Lifeline:
    """Both ends. Close it, or leave its `with` block, and every process that holds the other end leaves."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()

    def __enter__(self) -> Lifeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._theirs.close()
        self._ours.close()

    @property
    def descriptor(self) -> int:
        """What to pass on to processes."""
        return self._theirs.fileno()

    def cut(self) -> None:
        """Let everyone who still runs leave."""
        with contextlib.suppress(OSError):  # cut before
            self._ours.shutdown(socket.SHUT_WR)

    def wait_until_alone(self, seconds: float) -> bool:
        """Wait until no process holds the other end. True where that came true in time. Nothing starts after it."""
        self._theirs.close()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            readable, _, _ = select.select([self._ours], [], [], left)
            if readable and not self._ours.recv(1024):
                return True
        return False
