"""An HTTP proxy that injects the faults of networks and busy services."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request."""

    method: str
    path: str
    """With its query."""
    operation: str = ""
    """The operation of an AWS service, if the path does not say it (`X-Amz-Target`)."""

    @property
    def words(self) -> str:
        """Path and operation."""
        return f"{self.path} {self.operation}"


Fault = Callable[["_Handler", bytes], None]
"""Handles one request; gets the handler and the request's body. It need not answer."""


@dataclass
class FaultProxy:
    """Passes requests on unless a fault was injected for them. Thread-safe."""

    target: str
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    _faults: list[tuple[str, str, Fault, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put_in_the_way(self, method: str, fault: Fault, *, times: int = 1, containing: str = "") -> None:
        """Use `fault` for the next `times` requests with this method and `containing` in their path."""
        with self._lock:
            self._faults.append((method, containing, fault, times))

    def clear(self) -> None:
        """Forget all faults and requests."""
        with self._lock:
            self._faults.clear()
            self.requests.clear()

    def count(self, method: str, containing: str = "") -> int:
        """How many matching requests arrived."""
        with self._lock:
            return sum(one.method == method and containing in one.words for one in self.requests)

    def fault_for(self, request: Request) -> Fault | None:
        """Record the request; the fault to use for it."""
        with self._lock:
            self.requests.append(request)
            for place, (method, containing, fault, times) in enumerate(self._faults):
                if method == request.method and containing in request.words:
                    self._faults[place : place + 1] = [(method, containing, fault, times - 1)] if times > 1 else []
                    return fault
        return None


def answering(status: int, body: bytes = SLOW_DOWN, headers: Sequence[tuple[str, str]] = ()) -> Fault:
    """The service answers with an error and does nothing."""

    def fault(handler: _Handler, _body: bytes) -> None:
        handler.reply(status, [("Content-Type", "application/xml"), *headers], body)

    return fault


def after_a_while(seconds: float) -> Fault:
    """The service answers late."""

    def fault(handler: _Handler, body: bytes) -> None:
        time.sleep(seconds)
        handler.pass_on(body)

    return fault


def hanging(seconds: float) -> Fault:
    """The service does nothing and stays silent for `seconds`."""

    def fault(handler: _Handler, _body: bytes) -> None:
        time.sleep(seconds)
        handler.hang_up()

    return fault


def losing_the_answer(handler: _Handler, body: bytes) -> None:
    """The service does its work, but the connection is lost before the answer."""
    handler.ask(body).read()
    handler.hang_up()


def refusing(handler: _Handler, _body: bytes) -> None:
    """The connection is lost before the service sees the request."""
    handler.hang_up()


def cutting_off(at: int) -> Fault:
    """The connection breaks after `at` bytes of the answer's body."""

    def fault(handler: _Handler, body: bytes) -> None:
        answer = handler.ask(body)
        whole = answer.read()
        handler.start(answer.status, answer.getheaders(), len(whole))
        handler.wfile.write(whole[:at])
        handler.wfile.flush()
        handler.hang_up()

    return fault


@contextlib.contextmanager
def fault_proxy(target: str) -> Iterator[FaultProxy]:
    """A proxy in front of the server at the URL `target`."""
    proxy = FaultProxy(target)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = False
    server.proxy = proxy  # type: ignore[attr-defined]
    server.open = set()  # type: ignore[attr-defined]
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        for connection in list(server.open):  # type: ignore[attr-defined]
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._upstream: http.client.HTTPConnection | None = None
        self.server.open.add(self.connection)  # type: ignore[attr-defined]

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.server.open.discard(self.connection)  # type: ignore[attr-defined]
        if self._upstream is not None:
            self._upstream.close()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self._proxy.fault_for(Request(self.command, self.path, self.headers.get("X-Amz-Target", "")))
        if fault is None:
            self.pass_on(body)
        else:
            fault(self, body)

    do_GET = do_PUT = do_HEAD = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class's names

    @property
    def _proxy(self) -> FaultProxy:
        proxy: FaultProxy = self.server.proxy  # type: ignore[attr-defined]
        return proxy

    def ask(self, body: bytes) -> http.client.HTTPResponse:
        """The server's answer to this request. `Host` is kept, because it is signed."""
        if self._upstream is None:
            self._upstream = http.client.HTTPConnection(urlsplit(self._proxy.target).netloc, timeout=30)
        self._upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "expect"):
                self._upstream.putheader(name, value)
        self._upstream.endheaders(body)
        return self._upstream.getresponse()

    def pass_on(self, body: bytes) -> None:
        """Ask the server and hand its answer back."""
        answer = self.ask(body)
        whole = answer.read()
        length = len(whole) if self.command != "HEAD" else int(answer.headers.get("Content-Length", 0))
        self.start(answer.status, answer.getheaders(), length)
        self.wfile.write(whole)

    def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer without asking."""
        self.start(status, headers, len(body))
        self.wfile.write(body if self.command != "HEAD" else b"")

    def start(self, status: int, headers: list[tuple[str, str]], length: int) -> None:
        """Send the head of an answer whose body has `length` bytes."""
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def hang_up(self) -> None:
        """Close the connection."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
