"""The broker's view of its worker processes: the template that forks them, and each of them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from elastic_images.imaging.limits import Limits
from elastic_images.imaging.messages import Channel


class Worker:
    """A worker process. It ends when its channel is closed, unless it computes; `kill` ends it at once."""

    def __init__(self, pid: int, handle: int | None, channel: Channel) -> None:
        """`handle`: a descriptor of the process (pidfd_open(2)), which cannot come to mean another one."""
        self.pid = pid
        self.channel = channel
        self.job: Any = None
        """What it works on."""
        self.idle_since = 0.0
        self._handle = handle

    def kill(self) -> None:
        """Send SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped it (SIGSTOP). Nothing but a person ever continues it."""
        return is_stopped(self.pid)

    def close(self) -> None:
        """Close the connection to it. Once only."""
        self.channel.close()
        if self._handle is not None:
            os.close(self._handle)


class Template:
    """A running template and the workers that it forked. For one thread."""

    def __init__(self, limits: Limits) -> None:
        """Starts the process; forks are done once it has loaded everything."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [
                    sys.executable,
                    "-m",
                    "elastic_images.imaging.template",
                    *map(str, (theirs.fileno(), os.getpid(), *astuple(limits))),
                ],
                env={"MALLOC_ARENA_MAX": "1"},  # glibc would reserve 128 MB of the limit for a thread of libheif
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        ours.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self.channel = Channel(ours)
        self.workers: dict[int, Worker] = {}
        self.ready = False
        self._forking: list[socket.socket] = []

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def forking(self) -> int:
        """How many workers have been asked for and not started."""
        return len(self._forking)

    @property
    def is_stopped(self) -> bool:
        """As for a worker."""
        return is_stopped(self.pid)

    def fork(self) -> None:
        """Ask for one more worker. Raises OSError if the template is gone."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - as above
        self._forking.append(ours)
        with theirs:
            self.channel.send({}, [theirs.fileno()])

    def read(self, started: Callable[[Worker], None], ended: Callable[[Worker, int], None]) -> bool:
        """Take what it tells. False if it is gone.

        Args:
            started: gets each new worker.
            ended: gets each worker that has ended, with its exit code; negative: the signal that killed it.
        """
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    message = self.channel.receive()
                except ConnectionError:
                    return False
                if message is None:
                    return False
                if "started" in message.fields:
                    handle = message.descriptors.pop() if message.descriptors else None
                    worker = Worker(message.fields["started"], handle, Channel(self._forking.pop(0)))
                    self.workers[worker.pid] = worker
                    started(worker)
                elif "ended" in message.fields:
                    ended(self.workers.pop(message.fields["ended"]), message.fields["status"])
                else:
                    self.ready = True
        return True

    def end(self) -> None:
        """Kill it, and with it the workers, which the caller closes."""
        self._process.kill()
        self._process.wait()
        self.channel.close()
        for connection in self._forking:
            connection.close()


def is_stopped(pid: int) -> bool:
    """Whether a process has been stopped (SIGSTOP). False where the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - quicker than a Path
            return file.read().rpartition(b")")[2].split()[0] == b"T"
    except OSError:
        return False
