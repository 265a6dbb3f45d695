"""The broker as a process."""

from __future__ import annotations

import contextlib
import logging
import os

from elastic_images.core.errors import InvalidRequest
from elastic_images.imaging.admission import MEGABYTE
from elastic_images.imaging.broker import Broker
from elastic_images.imaging.limits import Limits
from elastic_images.process import lifeline
from elastic_images.process.heartbeat import Heartbeat
from elastic_images.process.ports import inherited
from elastic_images.process.stop_signals import StopSignals
from elastic_images.process.unix_sockets import listen
from elastic_images.settings import Settings
from elastic_images.settings.addresses import imaging_socket

_log = logging.getLogger(__name__)


def run(settings: Settings, *, ready_fd: int | None, health_fd: int | None, listen_fd: int | None) -> None:
    """Serve until a signal asks to stop, or the lifeline ends. Call it in the main thread.

    Args:
        settings: its `lifeline_fd` is watched.
        ready_fd: where to write a line once it listens.
        health_fd: where to write a heartbeat each second.
        listen_fd: a listening socket to serve instead of one of its own.

    Raises:
        InvalidRequest: it cannot listen.
    """
    path = settings.imaging_socket or imaging_socket(settings.data)
    try:
        listener = inherited(listen_fd) if listen_fd is not None else listen(path)
    except OSError as error:
        raise InvalidRequest(f"Cannot listen at {path}: {error.strerror}.") from error
    with listener, StopSignals() as signals:
        limits = Limits(settings.max_image_pixels, settings.max_frames, settings.max_animation_pixels)
        broker = Broker(listener, memory_bytes=settings.imaging_memory_mb * MEGABYTE, limits=limits)
        if settings.lifeline_fd is not None:
            lifeline.watch(settings.lifeline_fd, lambda: None)
        if health_fd is not None:
            Heartbeat(health_fd, {"broker": lambda: broker.last_turn}).start()
        if ready_fd is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(ready_fd, b"{}\n")
            os.close(ready_fd)
        broker.run(signals)
    _log.info("stopped")
