"""One client's connection to the backend. Its requests are passed on one at a time."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from elastic_images.front.event_loop import READABLE, WRITABLE, EventLoop

_READ_BYTES = 131_072


class BackendOwner(Protocol):
    """Who talks to the backend."""

    @property
    def has_room(self) -> bool:
        """Whether more of an answer can be taken now."""

    def backend_took(self) -> None:
        """Everything was sent."""

    def backend_gave(self, data: bytes) -> None:
        """The next part of an answer."""

    def backend_ended(self) -> None:
        """The backend closed the connection."""


class Backend:
    """Sends and receives for its owner. A slow side holds the other back."""

    def __init__(
        self,
        loop: EventLoop,
        connection: socket.socket,
        owner: BackendOwner,
        on_leave: Callable[[], None],
        on_close: Callable[[], None],
    ) -> None:
        """`connection` may still be connecting. `on_leave` becomes `client_left`."""
        self._loop = loop
        self._socket = connection
        self._fd = connection.fileno()
        self._owner = owner
        self.client_left = on_leave
        self._on_close = on_close
        self._unsent = memoryview(b"")
        self._broken = False
        """It accepts nothing more, and what is sent is thrown away. Its answer can still be read: it may have refused
        an upload and closed."""
        self._used_at = loop.clock
        self.wait()

    @property
    def accepts(self) -> bool:
        """Whether everything so far was sent."""
        return not self._unsent

    def is_old(self, seconds: float) -> bool:
        """Whether nothing passed for so long."""
        return self._loop.clock - self._used_at > seconds

    def send(self, data: bytes) -> None:
        """Send this; call it only if it `accepts`."""
        self._used_at = self._loop.clock
        if not self._broken:
            self._unsent = memoryview(data)
            self._flush()
            self.wait()

    def wait(self) -> None:
        """Watch for room if anything is to be sent, and for an answer if its owner has room for it."""
        if self._socket.fileno() >= 0:
            events = (WRITABLE if self._unsent else 0) | (READABLE if self._owner.has_room else 0)
            self._loop.watch(self._fd, self, events)

    def ready(self, _events: int) -> None:
        """See `event_loop.Watched`."""
        if self._unsent:
            self._flush()
            if not self._unsent:
                self._owner.backend_took()
        if self._owner.has_room and self._socket.fileno() >= 0:
            self._receive()
        self.wait()

    def abort(self) -> None:
        """See `event_loop.Watched`."""
        self._owner.backend_ended()

    def close(self) -> None:
        """Close it, whatever is under way."""
        if self._socket.fileno() >= 0:
            self._loop.forget(self._fd)
            self._socket.close()
            self._on_close()

    def _flush(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._broken, self._unsent = True, memoryview(b"")

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._used_at = self._loop.clock
        if data:
            self._owner.backend_gave(data)
        else:
            self._owner.backend_ended()
