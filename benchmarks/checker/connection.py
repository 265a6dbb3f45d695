"""A small HTTP client for the checker, which tells failures apart from answers.

The standard library's client needs most of a core to parse the answers of a few thousand reads a second, and the
system under test needs that core.
"""

from __future__ import annotations

import contextlib
import re
import socket
from typing import NamedTuple

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CACHE = re.compile(rb"\r\nx-cache: *([^\r]*)\r\n", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
_NO_BODY = (204, 304)
_CHUNK_BYTES = 65536


class Reply(NamedTuple):
    """An answer."""

    status: int
    cache: str
    body: bytes
    head: bytes = b""

    def header(self, name: str) -> str:
        """A header's value, by its name in lower case; empty if it is not there."""
        found = re.search(rb"\r\n" + re.escape(name.encode()) + rb": *([^\r]*)\r\n", self.head, re.IGNORECASE)
        return found[1].decode() if found else ""


class Connection:
    """One keep-alive connection, reopened after any failure. Not thread-safe."""

    def __init__(self, host: str, port: int, timeout_seconds: float) -> None:
        self._address = (host, port)
        self._timeout_seconds = timeout_seconds
        self._open: socket.socket | None = None

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply | None:
        """The answer; None if it was refused, reset, cut off or late.

        Raises:
            ValueError: an answer that is not HTTP/1.1 with a length, which ours all are.
        """
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._address[0]}:{self._address[1]}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        try:
            if self._open is None:
                self._open = socket.create_connection(self._address, self._timeout_seconds)
                self._open.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.sendall("\r\n".join((*lines, "\r\n")).encode() + (body or b""))
            return self._receive(self._open, has_body=method != "HEAD")
        except OSError:
            self.close()
            return None

    def close(self) -> None:
        """Close it; the next request opens it again, perhaps to another process on the same port."""
        if self._open is not None:
            with contextlib.suppress(OSError):
                self._open.close()
            self._open = None

    def _receive(self, connection: socket.socket, *, has_body: bool) -> Reply:
        received = bytearray()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += _some(connection)
        head = bytes(received[: end + 2])
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None or (length is None and int(status[1]) not in _NO_BODY):
            raise ValueError(f"not an answer with a length: {head!r}")
        has_body = has_body and int(status[1]) not in _NO_BODY
        stop = end + 4 + (int(length[1]) if length and has_body else 0)
        while len(received) < stop:
            received += _some(connection)
        if _CLOSES.search(head):
            self.close()
        cache = _CACHE.search(head)
        return Reply(int(status[1]), cache[1].decode() if cache else "", bytes(received[end + 4 : stop]), head)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(_CHUNK_BYTES)
    if not data:
        raise ConnectionResetError("closed before the answer's end")
    return data
