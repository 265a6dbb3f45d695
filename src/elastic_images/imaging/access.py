"""How a process of ours comes to a broker: the machine's, or one of its own."""

from __future__ import annotations

import logging
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from elastic_images.core.errors import Unavailable
from elastic_images.imaging.client import ImagingClient
from elastic_images.imaging.command import command
from elastic_images.imaging.crew import is_stopped
from elastic_images.process.unix_sockets import listen
from elastic_images.settings import Settings

_log = logging.getLogger(__name__)
_RESTART_SECONDS = 0.5
_STOP_SECONDS = 2.0
_LOOK_SECONDS = 1.0
_STOPPED_SECONDS = 5.0
"""How long the broker may be stopped (SIGSTOP) until another one takes its place."""


class ImagingAccess:
    """A client, and the broker of its own that a process without IMAGING_SOCKET runs as its child when it is needed.

    The child's listening socket is kept here: it starts when somebody connects, and callers wait while it is replaced.
    """

    def __init__(self, settings: Settings) -> None:
        """Starts nothing."""
        self._settings = settings
        self._folder: Path | None = None
        path = settings.imaging_socket
        if path is None:
            # Not in DATA: several processes may share that, each with a broker of its own.
            self._folder = Path(tempfile.gettempdir()) / f"elastic-images-{secrets.token_hex(8)}"
            path = self._folder / "imaging.sock"
        self._path = path
        self.client = ImagingClient(path)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="imaging", daemon=True)

    def start(self) -> None:
        """Get ready to start a broker, if this process needs one of its own."""
        if self._folder is not None:
            self._folder.mkdir(mode=0o700)
            self._listener = listen(self._path)
            self._wake_reader, self._wake_writer = socket.socketpair()
            self._keeper.start()

    def figures(self) -> Mapping[str, Any]:
        """As `ImagingClient.figures`. Raises Unavailable also where no broker was needed yet."""
        if self._folder is not None and self._process is None:
            raise Unavailable("No broker was needed yet.")
        return self.client.figures()

    def check(self) -> str:
        """How the broker fares, in words. Raises Unavailable if it does not answer."""
        if self._folder is not None and self._process is None:
            return "Starts when it is needed."
        found = self.client.figures()
        return f"{found['workers']} workers, {found['waiting']} jobs waiting."

    def stop(self) -> None:
        """Stop the broker, within 2 s."""
        self.client.close()
        if self._folder is None or not self._keeper.is_alive():
            return
        with self._lock:
            self._stopping.set()
            if self._process is not None:
                self._process.send_signal(signal.SIGTERM)
        self._wake_writer.close()
        self._keeper.join(_STOP_SECONDS)
        if self._keeper.is_alive() and self._process is not None:
            self._process.kill()
            self._keeper.join(_STOP_SECONDS)
        self._listener.close()
        self._wake_reader.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _keep(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            while True:
                select.select([self._listener, self._wake_reader], [], [])
                with self._lock:
                    if self._stopping.is_set():
                        return
                    self._process = self._started(theirs)
                code = _wait(self._process)
                if not self._stopping.wait(_RESTART_SECONDS):
                    _log.warning("the imaging broker exited (%d); it starts again when it is needed", code)

    def _started(self, lifeline: socket.socket) -> subprocess.Popen[bytes]:
        passed = (self._listener.fileno(), lifeline.fileno())
        settings = replace(self._settings, lifeline_fd=lifeline.fileno())
        return subprocess.Popen(  # noqa: S603 - our own program
            [*command(settings), "--listen-fd", str(passed[0])],
            pass_fds=passed,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait until it has ended, and return its exit code. If it stays stopped, it is killed."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not on this system
        return process.wait()
    with os.fdopen(handle, "rb") as ended:
        stopped_since: float | None = None
        while not select.select([ended], [], [], _LOOK_SECONDS)[0]:
            now = time.monotonic()
            stopped_since = (stopped_since or now) if is_stopped(process.pid) else None
            if stopped_since is not None and now - stopped_since >= _STOPPED_SECONDS:
                _log.warning("the imaging broker was stopped for %.0f s; killing it", now - stopped_since)
                process.kill()
    return process.wait()


def open_imaging(settings: Settings) -> ImagingAccess:
    """How this process has images inspected and renditions made. Starts nothing."""
    return ImagingAccess(settings)
