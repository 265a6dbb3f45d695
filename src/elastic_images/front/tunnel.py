"""A connection that the backend answers: bytes pass unchanged in both directions until both sides have ended."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from elastic_images.front.event_loop import READABLE, WRITABLE, EventLoop

_CHUNK_BYTES = 131_072
_LINGER_SECONDS = 2.0
"""How long the client may still send after the backend has closed. Closing at once would reset the connection, and a
client that is still sending would lose the answer (RFC 9112, section 9.6)."""


class Tunnel:
    """Two sockets. A slow one holds the other back: at most one chunk waits in each direction."""

    def __init__(
        self,
        loop: EventLoop,
        client: socket.socket,
        backend: socket.socket,
        start: bytes,
        on_close: Callable[[Tunnel], None],
    ) -> None:
        """`backend` may still be connecting; `start` is what the client has sent so far."""
        self._loop = loop
        self._on_close = on_close
        self._client = _End(loop, client, self)
        self._backend = _End(loop, backend, self)
        self._client.other, self._backend.other = self._backend, self._client
        self._over_at: float | None = None
        self._backend.unsent = memoryview(start)
        self._backend.ready(WRITABLE)
        self._client.wait()

    @property
    def open(self) -> bool:
        """Whether it has not been closed."""
        return self._client.open

    def close(self) -> None:
        """Close both sockets, whatever is under way."""
        if self._client.open:
            self._client.close()
            self._backend.close()
            self._on_close(self)

    def check(self) -> None:
        """Close it if both sides are done. Call it now and then, too: one end depends on time."""
        if self._client.broken or (self._client.no_more and self._client.shut):
            self.close()
        elif self._client.shut:
            self._over_at = self._over_at or self._loop.clock + _LINGER_SECONDS
            if self._loop.clock > self._over_at:
                self.close()


class _End:
    """One of the two sockets, and what is to be sent on it."""

    other: _End

    def __init__(self, loop: EventLoop, connection: socket.socket, tunnel: Tunnel) -> None:
        self._loop = loop
        self._tunnel = tunnel
        self._connection = connection
        self._fd = connection.fileno()
        self.unsent = memoryview(b"")
        self.broken = False
        """It accepts nothing more; what comes for it is thrown away. What it sent before can still be read: the backend
        may have refused an upload and closed."""
        self.no_more = False
        """It has sent everything."""
        self.shut = False
        """Its sending side was shut down: the other side has ended, and all that it sent was passed on."""

    @property
    def open(self) -> bool:
        return self._connection.fileno() >= 0

    def ready(self, _events: int) -> None:
        """See `event_loop.Watched`."""
        self.flush()
        if self.open and not self.other.unsent and not self.no_more:
            self._receive()
        self.wait()
        self.other.wait()
        self._tunnel.check()

    def abort(self) -> None:
        """See `event_loop.Watched`."""
        self._tunnel.close()

    def close(self) -> None:
        self._loop.forget(self._fd)
        self._connection.close()

    def flush(self) -> None:
        """Send as much as the kernel takes."""
        if not self.open or self.broken:
            self.unsent = memoryview(b"")
            return
        try:
            while self.unsent:
                self.unsent = self.unsent[self._connection.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.broken, self.unsent = True, memoryview(b"")
            return
        if self.other.no_more and not self.shut:
            self.shut = True
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)

    def wait(self) -> None:
        """Watch for room to send if anything waits, and for data if the other side has room for it."""
        if self.open:
            events = (WRITABLE if self.unsent else 0) | (0 if self.no_more or self.other.unsent else READABLE)
            self._loop.watch(self._fd, self, events)

    def _receive(self) -> None:
        try:
            data = self._connection.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self.broken, data = True, b""
        self.no_more = not data
        self.other.unsent = memoryview(data)
        self.other.flush()
