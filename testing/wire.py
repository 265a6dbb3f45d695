"""HTTP/1.1 as bytes on a socket: a client that sends whatever a test wants and reads answers strictly (RFC 9112)."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import NoReturn, Self

WAIT_SECONDS = 60.0
"""After this long without data the server counts as hung. No passing test waits this long."""


class Broken(AssertionError):
    """The data is not an HTTP/1.1 answer."""


class CutOff(Broken):
    """The connection ended in the middle of an answer."""


class Closed(Exception):
    """The server closed the connection before the first byte of another answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer."""

    status: int
    headers: dict[str, str]
    """By lower-case name. Only Set-Cookie may come twice."""
    body: bytes


class Wire:
    """One connection. For one thread."""

    def __init__(self, port: int, *, source: str = "127.0.0.1", token: str | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS, (source, 0))
        self.token = token
        self._held = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send these bytes. If the server has already closed, reading the answer will show it."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def ask(self, path: str, *fields: str, method: str = "GET", body: bytes | None = None) -> Reply:
        """Send a request and read its answer."""
        self.send(self.request(path, *fields, method=method, body=body))
        return self.read(method)

    def request(self, path: str, *fields: str, method: str = "GET", body: bytes | None = None) -> bytes:
        """A request as bytes, with an allowed Host and the connection's token."""
        return request(path, *fields, method=method, body=body, token=self.token)

    def read(self, method: str = "GET") -> Reply:
        """Read the next answer, to a request with this method. Raises Closed, Broken."""
        head = self._until(b"\r\n\r\n")
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        version, status, *_ = first.split(" ", 2)
        if version not in ("HTTP/1.1", "HTTP/1.0") or not (len(status) == 3 and status.isdecimal()):
            raise Broken(f"not a status line: {first!r}")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip() or (name.lower() in headers and name.lower() != "set-cookie"):
                raise Broken(f"not a header field, or a second one: {line!r}")
            headers[name.lower()] = value.strip()
        number = int(status)
        if number >= 200 and "date" in headers:  # 100 Continue needs no date
            parsedate_to_datetime(headers["date"])
        return Reply(number, headers, self._body(method, number, headers))

    def rest(self) -> bytes:
        """Everything until the server ends the connection, by FIN or RST."""
        data, self._held = self._held, b""
        with contextlib.suppress(ConnectionError):
            while more := self._receive():
                data += more
        return data

    def assert_silent(self) -> None:
        """Check that nothing but the answers already read has arrived."""
        if self._held:
            raise Broken(f"more data than answers: {self._held[:200]!r}")

    def _body(self, method: str, status: int, headers: dict[str, str]) -> bytes:
        if method == "HEAD" or status in (204, 304) or status < 200:
            return b""
        if "transfer-encoding" in headers:
            if headers["transfer-encoding"] != "chunked" or "content-length" in headers:
                raise Broken(f"lengths: {headers}")
            return self._chunks()
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        if headers.get("connection", "").lower() != "close":
            raise Broken(f"no length: {status} {headers}")
        return self.rest()

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._until(b"\r\n")[:-2], 16):
            body += self._exactly(size)
            self._exactly(2)
        self._exactly(2)
        return body

    def _until(self, end: bytes) -> bytes:
        while end not in self._held:
            self._more()
        position = self._held.index(end) + len(end)
        data, self._held = self._held[:position], self._held[position:]
        return data

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            self._more()
        data, self._held = self._held[:size], self._held[size:]
        return data

    def _more(self) -> None:
        try:
            data = self._receive()
        except ConnectionError:
            data = b""
        if not data:
            self._ended()
        self._held += data

    def _ended(self) -> NoReturn:
        if self._held:
            raise CutOff(f" {self._held[:200]!r}")
        raise Closed

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(262_144)
        except TimeoutError:
            raise Broken(f"nothing came for {WAIT_SECONDS:g} s") from None

    def reset(self) -> None:
        """Close by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def request(path: str, *fields: str, method: str = "GET", body: bytes | None = None, token: str | None = None) -> bytes:
    """An HTTP/1.1 request as bytes, with an allowed Host."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *fields]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"Content-Length: {len(body)}"] if body is not None else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


@contextlib.contextmanager
def many(port: int, count: int) -> Iterator[list[Wire]]:
    """`count` connections at once."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Wire(port)) for _ in range(count)]
