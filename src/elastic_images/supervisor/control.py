"""The supervisor's control socket: commands on the same machine ask it to reload.

A client sends one line of JSON, `{"command": "reload"}`, and reads lines until the connection ends. Only this user may
connect: the socket has mode 600.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from elastic_images.process import unix_sockets

_REQUEST_SECONDS = 5.0
"""How long a client may take to send its line."""
_MAX_REQUEST_BYTES = 4096
_MAX_CLIENTS = 8


def control_path(data: Path) -> Path:
    """The socket of the system on this data folder."""
    return data / "run" / "supervisor.sock"


class Client:
    """A connected command."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self.connection = connection
        self.deadline = deadline
        self._received = b""

    def read(self) -> Any:
        """Its request, or None if that has not arrived yet. Raises ValueError or OSError if it is none."""
        try:
            received = self.connection.recv(_MAX_REQUEST_BYTES)
        except BlockingIOError:
            return None
        self._received += received
        line, end, _ = self._received.partition(b"\n")
        if end:
            return json.loads(line)
        if not received or len(self._received) >= _MAX_REQUEST_BYTES:
            raise ValueError("no line")
        return None

    def tell(self, value: Mapping[str, Any]) -> None:
        """Send a line. Never waits: a client that does not read misses the rest."""
        with contextlib.suppress(OSError):
            self.connection.send(json.dumps(value).encode() + b"\n")

    def close(self) -> None:
        """End the connection."""
        self.connection.close()


class ControlSocket:
    """Listens while the `with` block runs. For the supervisor's thread, which it never holds up."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._asking: list[Client] = []

    def __enter__(self) -> ControlSocket:
        self._listener = unix_sockets.listen(self._path)  # the data folder is locked: no other system serves it
        self._listener.setblocking(False)  # noqa: FBT003 - as above
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._asking:
            client.close()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    @property
    def descriptors(self) -> list[int]:
        """Readable if `requests` has something to do."""
        return [self._listener.fileno(), *(client.connection.fileno() for client in self._asking)]

    def requests(self) -> Iterator[tuple[Client, Any]]:
        """The requests that have arrived since the last call. The caller closes their clients."""
        with contextlib.suppress(OSError):
            while len(self._asking) < _MAX_CLIENTS:
                self._asking.append(Client(self._listener.accept()[0], self._clock() + _REQUEST_SECONDS))
        for client in list(self._asking):
            try:
                request = client.read()
            except (OSError, ValueError):
                request = {}
            if request is not None or self._clock() > client.deadline:
                self._asking.remove(client)
                yield client, request
