"""The template: a process that has loaded everything workers need, and forks them. It has no threads.

The broker starts it when the first job arrives and ends it when none has come for a while. It tells of each worker when
it has started, with a descriptor of the process, and when it has ended, with its status.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable

from elastic_images.imaging.limits import Limits
from elastic_images.imaging.messages import Channel
from elastic_images.imaging.orphans import die_with_parent

_READ_BYTES = 4096


def main(descriptor: int, parent: int, limits: Limits) -> None:
    """Fork workers until the broker closes the connection."""
    die_with_parent(parent)
    # Only now: loading the decoders takes a while, in which the broker may be killed.
    from elastic_images.imaging.worker import run

    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_reader, False)
    os.set_blocking(wake_writer, False)
    signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    channel = Channel(socket.socket(fileno=descriptor))
    gc.collect()
    gc.freeze()  # so that workers share these pages
    channel.send({"ready": True})
    while True:
        readable, _, _ = select.select([channel.fileno(), wake_reader], [], [])
        if wake_reader in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(wake_reader, _READ_BYTES)
            _tell_ended(channel)
        if channel.fileno() in readable:
            message = channel.receive()
            if message is None:
                return
            with socket.socket(fileno=message.descriptors.pop()) as connection:
                _fork(channel, connection, lambda connection, parent: run(connection, parent, limits))


def _fork(channel: Channel, connection: socket.socket, work: Callable[[socket.socket, int], None]) -> None:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            work(connection, parent)
        finally:
            os._exit(0)
    handle = [os.pidfd_open(pid)] if hasattr(os, "pidfd_open") else []
    channel.send({"started": pid}, handle)
    for descriptor in handle:
        os.close(descriptor)


def _tell_ended(channel: Channel) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            channel.send({"ended": pid, "status": os.waitstatus_to_exitcode(status)})


if __name__ == "__main__":
    _channel, _parent, *_bounds = map(int, sys.argv[1:])
    main(_channel, _parent, Limits(*_bounds))
