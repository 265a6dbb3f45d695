"""How a process of ours comes to a broker: the machine's, or one of its own."""

from __future__ import annotations

import logging
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

from elastic_images.imaging.client import ImagingClient
from elastic_images.process.unix_sockets import listen
from elastic_images.settings import Settings

_log = logging.getLogger(__name__)
_RESTART_SECONDS = 0.5
_STOP_SECONDS = 2.0


class ImagingAccess:
    """A client, and the broker of its own that a process without IMAGING_SOCKET runs as its child.

    The child's listening socket stays open here, so that callers wait while a broker that died is replaced.
    """

    def __init__(self, settings: Settings) -> None:
        """Starts nothing."""
        self._settings = settings
        self._folder: Path | None = None
        path = settings.imaging_socket
        if path is None:
            self._folder = Path(tempfile.mkdtemp(prefix="elastic-images-"))
            path = self._folder / "imaging.sock"
        self._path = path
        self.client = ImagingClient(path)
        self._listener: socket.socket | None = None
        self._lifeline: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="imaging", daemon=True)

    def start(self) -> None:
        """Start a broker if this process needs one of its own."""
        if self._folder is None:
            return
        self._listener = listen(self._path)
        self._keeper.start()

    def check(self) -> str:
        """How the broker fares, in words. Raises Unavailable if it does not answer."""
        found = self.client.figures()
        return f"{found['workers']} workers, {found['waiting']} jobs waiting."

    def stop(self) -> None:
        """Stop the broker, within 2 s."""
        self.client.close()
        if self._folder is None:
            return
        self._stopping.set()
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
        if self._keeper.is_alive():
            self._keeper.join(_STOP_SECONDS)
        if self._listener is not None:
            self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _keep(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            while not self._stopping.is_set():
                self._process = self._started(theirs)
                if self._stopping.is_set():
                    self._process.terminate()
                code = self._process.wait()
                if not self._stopping.wait(_RESTART_SECONDS):
                    _log.warning("the imaging broker exited (%d); starting it again", code)

    def _started(self, lifeline: socket.socket) -> subprocess.Popen[bytes]:
        if self._listener is None:
            raise AssertionError("started before its socket")
        passed = (self._listener.fileno(), lifeline.fileno())
        settings = replace(self._settings, lifeline_fd=lifeline.fileno())
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "elastic_images", "imaging", "--listen-fd", str(passed[0])],
            env=settings.to_environ(),
            pass_fds=passed,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def open_imaging(settings: Settings) -> ImagingAccess:
    """How this process has images inspected and renditions made. Starts nothing."""
    return ImagingAccess(settings)
