"""The supervisor's end of the lifeline: tells every process when the supervisor is gone, and the reverse.

A pair of connected sockets. The supervisor's end is never inherited, so the other end reads end of file once it exits.
Every process inherits the other end, nodes too; once the last one has exited, the supervisor reads end of file.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time


class Lifeline:
    """Both ends. When it is closed, or its `with` block ends, every process that holds the other end exits."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()

    def __enter__(self) -> Lifeline:
        return self

    def __exit__(self, *_error: object) -> None:
        self.cut()
        self._theirs.close()
        self._ours.close()

    @property
    def descriptor(self) -> int:
        """The descriptor that processes inherit."""
        return self._theirs.fileno()

    def cut(self) -> None:
        """Make every remaining process exit."""
        with contextlib.suppress(OSError):  # already cut
            self._ours.shutdown(socket.SHUT_WR)

    def wait_until_alone(self, seconds: float) -> bool:
        """Wait until no process holds the other end. False on timeout. Start nothing afterwards."""
        self._theirs.close()
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            readable, _, _ = select.select([self._ours], [], [], left)
            if readable and not self._ours.recv(1024):
                return True
        return False
