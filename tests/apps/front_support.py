"""A data plane that does what a test wants, and a client that sends bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from testing.wire import Wire as StrictWire

from elastic_images.front.reads import Environ, RequestKind, UpstreamRequest, WholeImage, WholeRead
from elastic_images.http.answer import Answer
from elastic_images.http.response_head import ResponseHead

WAIT_SECONDS = 60.0


def lines(body: bytes) -> bytes:
    return b"Content-Length: %d\r\nX-Cache: HIT\r\n" % len(body)


class Asking:
    """A request to another server; returns its body, or on failure an answer found on a thread."""

    def __init__(self, address: tuple[str, int], name: str) -> None:
        self.address = address
        self.request = f"GET /{name} HTTP/1.1\r\nHost: other\r\n\r\n".encode()
        self.heads: list[ResponseHead | None] = []

    def on_reply(self, head: ResponseHead | None, body: memoryview) -> WholeImage | Callable[[], Answer]:
        self.heads.append(head)
        if head is None or head.status != 200:
            return lambda: Answer("200 OK", [("Content-Length", "8"), ("X-Cache", "BYPASS")], b"bypassed")
        etag = head.headers.get("etag", "")
        tagged = f"ETag: {etag}\r\n".encode() if etag else b""
        return lines(body) + tagged, body  # type: ignore[arg-type]


class Plane:
    """In memory: `images`. `slow/...` waits for `gate`; `login/...` is the backend's; `broken/...` raises;
    `asked/...` is asked of `other`.
    """

    prefixes = (b"/images/",)
    judges_each = True

    def __init__(self) -> None:
        self.images = {"a": b"A" * 10, "b": b"B" * 20, "big": bytes(range(256)) * 16_000}
        self.gate = threading.Event()
        self.waiting = threading.Semaphore(0)
        self.other: tuple[str, int] = ("127.0.0.1", 1)

    def classify(self, environ: Environ) -> RequestKind:
        if environ["HTTP_HOST"] != "x":
            return RequestKind.BACKEND
        return RequestKind.CONDITIONAL if "HTTP_RANGE" in environ else RequestKind.WHOLE

    def name_of(self, environ: Environ) -> str | None:
        path = environ["PATH_INFO"]
        return path.removeprefix("/images/") if not environ["QUERY_STRING"] else None

    def front_hit(self, name: str, environ: Environ, now: float) -> WholeImage | None:
        assert environ["HTTP_HOST"] == "x"
        assert now > 1e9
        body = self.images.get(name)
        return None if body is None else (lines(body), body)

    def front_answer(self, name: str, environ: Environ, now: float) -> Answer | None:
        found = self.front_hit(name, environ, now)
        if found is None:
            return None
        status = "206 Partial Content" if "HTTP_RANGE" in environ else "200 OK"
        return Answer(status, [("Content-Length", str(len(found[1])))], bytes(found[1]))

    def upstream_request(self, read: WholeRead) -> UpstreamRequest | None:
        return Asking(self.other, read.name) if read.name.startswith("asked/") else None

    def respond(self, environ: Environ) -> Answer | None:
        path = environ["PATH_INFO"]
        if path.startswith("/images/login"):
            return None
        if path.startswith("/images/broken"):
            raise ValueError("ei_HIDDEN0123456789")
        if path.startswith("/images/slow"):
            self.waiting.release()
            assert self.gate.wait(WAIT_SECONDS)
        body = f"found {path} for {environ['REMOTE_ADDR']}".encode()
        return Answer("200 OK", [("Content-Length", str(len(body)))], body)


def behind(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The backend's app: says what it got, and from which client."""
    body = environ["wsgi.input"].read()
    said = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {len(body)} {environ['REMOTE_ADDR']}".encode()
    if environ["PATH_INFO"] == "/big":
        said = b"z" * 8_000_000
    start_response("200 OK", [("Content-Length", str(len(said)))])
    return [said]


Reply = tuple[int, dict[str, str], bytes]
"""Status, headers by lower-case name, body."""


class Wire(StrictWire):
    """One connection to a front whose Host is `x`."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        super().__init__(port, source=source)

    def get(self, target: str, *fields: str, method: str = "GET", body: bytes = b"") -> Reply:
        self.post(target, *fields, method=method, body=body)
        return self.answer(head=method == "HEAD")

    def post(self, target: str, *fields: str, method: str = "GET", body: bytes = b"") -> None:
        """Send a request without waiting for its answer."""
        length = [f"Content-Length: {len(body)}"] if body else []
        self.send("\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", *fields, *length, "", ""]).encode() + body)

    def answer(self, *, head: bool = False) -> Reply:
        reply = self.read("HEAD" if head else "GET")
        return reply.status, reply.headers, reply.body

    @property
    def at_end(self) -> bool:
        """Whether the other side has closed without sending more. Waits for it."""
        return self.rest() == b""
