"""A TCP proxy in front of one server that may fall silent: it accepts connections and says nothing."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator

_TICK_SECONDS = 0.02
_CHUNK_BYTES = 65_536


class SilentProxy:
    """Passes bytes on, except while `silent` is set. `target` is `(host, port)`, or the path of a Unix socket."""

    def __init__(self, target: tuple[str, int] | str) -> None:
        self.silent = False
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._others: dict[socket.socket, socket.socket] = {}
        self._waiting: list[socket.socket] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="silent-proxy")
        self._thread.start()

    def close(self) -> None:
        """Close every connection."""
        self._stopping = True
        self._thread.join()
        for one in (self._listener, *self._others, *self._waiting):
            one.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(_TICK_SECONDS):
                if key.fileobj is self._listener:
                    self._waiting.append(self._listener.accept()[0])
                elif not self.silent and isinstance(key.fileobj, socket.socket):
                    self._pass_on(key.fileobj)
            if self.silent:
                time.sleep(_TICK_SECONDS)
            else:
                while self._waiting:
                    self._connect(self._waiting.pop())

    def _connect(self, client: socket.socket) -> None:
        if isinstance(self._target, str):
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
        else:
            server = socket.create_connection(self._target)
        for one, other in ((client, server), (server, client)):
            self._others[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        if source not in self._others:
            return  # its other end was closed in this turn
        chunk = b""
        with contextlib.suppress(OSError):
            chunk = source.recv(_CHUNK_BYTES)
            self._others[source].sendall(chunk)
        if not chunk:
            for one in (source, self._others[source]):
                self._selector.unregister(one)
                del self._others[one]
                one.close()


@contextlib.contextmanager
def silent_proxy(target: tuple[str, int] | str) -> Iterator[SilentProxy]:
    """A proxy in front of `target`."""
    proxy = SilentProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
