"""The broker as a process."""

from __future__ import annotations

import contextlib
import logging
import os
import socket

from elastic_images.imaging.broker import Broker
from elastic_images.imaging.limits import Limits
from elastic_images.process import lifeline
from elastic_images.process.heartbeat import Heartbeat
from elastic_images.process.stop_signals import StopSignals

_log = logging.getLogger(__name__)


def run(
    listener: socket.socket,
    *,
    memory_bytes: int,
    limits: Limits,
    ready_fd: int | None = None,
    health_fd: int | None = None,
    lifeline_fd: int | None = None,
) -> None:
    """Serve until a signal asks to stop, or the lifeline ends. Call it in the main thread.

    Args:
        listener: becomes the broker's.
        memory_bytes: see `Broker`.
        limits: see `Broker`.
        ready_fd: where to write a line once it listens.
        health_fd: where to write a heartbeat each second.
        lifeline_fd: the read end of the supervisor's lifeline.
    """
    with listener, StopSignals() as signals:
        broker = Broker(listener, memory_bytes=memory_bytes, limits=limits)
        if lifeline_fd is not None:
            lifeline.watch(lifeline_fd, lambda: None)
        if health_fd is not None:
            Heartbeat(health_fd, {"broker": lambda: broker.last_turn}).start()
        if ready_fd is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(ready_fd, b"{}\n")
            os.close(ready_fd)
        broker.run(signals)
    _log.info("stopped")
