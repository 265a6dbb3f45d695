"""One client's connection, for as long as it asks for nothing but images."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from elastic_images.front.event_loop import WRITABLE, EventLoop
from elastic_images.front.heads import MAX_HEAD_BYTES, PLAIN, Heads, Request, plain_environ
from elastic_images.front.reads import Environ, Reads, UpstreamRequest, WholeImage
from elastic_images.front.sending import Part, parts_of, send, unsent
from elastic_images.front.upstream import OnReply
from elastic_images.http.answer import Answer, Later
from elastic_images.http.response_head import ResponseHead

_log = logging.getLogger(__name__)
_READ_BYTES = 16_384
_LINGER_SECONDS = 1.0
"""How long a client may take to finish a request, or to close, once its connection is to end."""
_EARLY_BYTES = 65_536
"""How much of later requests is accepted while one is being answered."""


class FrontContext(Protocol):
    """What the connections of one front share."""

    loop: EventLoop
    reads: Reads
    heads: Heads
    draining: bool

    def ask_upstream(self, request: UpstreamRequest, on_reply: OnReply) -> None:
        """Send a request to another server; `on_reply` is called on the loop's thread."""

    def run_in_thread(self, find: Callable[[], Answer | Later], done: Callable[[Answer], None]) -> None:
        """Call `find` on a thread that may block, and `done` with its result on the loop's thread.

        What it leaves for later is called on a thread for slow reads.
        """

    def open_tunnel(self, client: socket.socket, address: str, start: bytes) -> None:
        """Hand a connection, which began with `start`, to the backend."""

    def connection_left(self, connection: Connection) -> None:
        """The connection was closed or became a tunnel."""


class Connection:
    """Reads requests one after another, and answers each before it looks at the next.

    A hit runs through `ready`, `Reads.front_hit` and `_send`, and nothing else.
    """

    __slots__ = (
        "_address",
        "_busy",
        "_close",
        "_context",
        "_ended",
        "_fd",
        "_free",
        "_held",
        "_open",
        "_socket",
        "_unsent",
        "lingers",
        "since",
    )

    def __init__(self, context: FrontContext, client: socket.socket, address: str) -> None:
        self._context = context
        self._socket = client
        self._fd = client.fileno()
        self._address = address
        self._held = b""
        self._unsent: list[memoryview] = []
        self._busy = False
        self._close = False
        self._ended = False
        self._open = True
        self.lingers = False
        """Whether the last answer is out and only the client's close is awaited."""
        self._free: Callable[[], None] | None = None
        context.loop.watch(self._fd, self)
        self.since = context.loop.clock
        """When it last made progress: the end of an answer, or the last bytes of one that were sent."""

    def is_late(self, idle_seconds: float, *, draining: bool) -> bool:
        """Whether to close it: no progress for `idle_seconds`, or draining with no request under way."""
        if self._busy:
            return False
        if draining and not self._unsent and not self.lingers:
            idle_seconds = _LINGER_SECONDS if self._held else 0.0
        return self._context.loop.clock - self.since > (_LINGER_SECONDS if self.lingers else idle_seconds)

    def ready(self, _events: int) -> None:
        """See `event_loop.Watched`."""
        if self._unsent:
            self._send_rest()
            return
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if self._busy or not data:
            self._receive_early(data)
            return
        if self.lingers:
            return
        if self._held:
            data, self._held = self._held + data, b""
        self._serve(data)

    def end(self) -> None:
        """Close it because it is late. An idle client gets a moment to close first: it may be sending a request."""
        if self.lingers or self._unsent or self._held:
            self.abort()
        else:
            self._close_sending()

    def abort(self) -> None:
        """Close the connection, whatever is under way."""
        if self._open:
            self._leave()
            self._socket.close()
        self._held, self._unsent = b"", []
        self._release()

    # --- requests

    def _serve(self, data: bytes) -> None:
        context = self._context
        while data:
            # The fast path: a plain request line, known header fields, an image in memory.
            plain = PLAIN(data)
            if plain is not None:
                fields = context.heads.known.get((self._address, data[plain.end() :]))
                if fields is not None and fields.whole and not context.draining:
                    name = plain[1].decode()
                    found = context.reads.front_hit(name, fields.environ, context.loop.now)
                    if found is not None:
                        self._send((context.loop.ok + found[0] + b"\r\n", found[1]))
                    else:
                        self._fetch_whole(name, partial(plain_environ, fields, name))
                    return
            data = self._serve_any(data)

    def _serve_any(self, data: bytes) -> bytes:
        """Answer the first request, or begin to. Returns what follows it if that can be looked at now."""
        context = self._context
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 and len(data) <= MAX_HEAD_BYTES and context.heads.may_become_ours(data):
            self._held = data
            return b""
        request = context.heads.read(data[:end], self._address) if 4 <= end <= MAX_HEAD_BYTES else None
        if request is None:
            self._tunnel(data)
            return b""
        self._held = data[end:]
        self._close = request.fields.close or context.draining
        self._answer_request(request)
        if self._busy or self._unsent or not self._held:
            return b""
        rest, self._held = self._held, b""
        return rest

    def _answer_request(self, request: Request) -> None:
        context, name, environ = self._context, request.name, request.environ
        whole = request.fields.whole and not request.is_head
        if name is not None and whole:
            found = context.reads.front_hit(name, environ, context.loop.now)
            if found is not None:
                self._send_whole(found)
            else:
                self._fetch_whole(name, lambda: environ)
            return
        if name is not None:
            answer = context.reads.front_answer(name, environ, context.loop.now)
            if answer is not None:
                self._send_answer(answer, without_body=request.is_head)
                return
        self._answer_in_thread(lambda: context.reads.respond(environ), without_body=request.is_head)

    def _fetch_whole(self, name: str, environ: Callable[[], Environ]) -> None:
        """Fetch an image that is not in memory."""
        request = self._context.reads.upstream_request(name)
        if request is not None:
            self._ask_upstream(request)
        else:
            self._answer_in_thread(lambda: self._context.reads.respond(environ()), without_body=False)

    def _ask_upstream(self, request: UpstreamRequest) -> None:
        def on_reply(head: ResponseHead | None, body: memoryview, free: Callable[[], None]) -> None:
            self._busy = False
            self._free = free
            try:
                found = request.on_reply(head, body)
                if isinstance(found, tuple):
                    self._send_whole(found)
                    self._next_request()
                else:
                    self._release()
                    self._answer_in_thread(found, without_body=False)
            except Exception:  # noqa: BLE001 - the client must not wait for ever
                self._failed()

        self._busy = True
        self._context.ask_upstream(request, on_reply)

    def _answer_in_thread(self, find: Callable[[], Answer | Later], *, without_body: bool) -> None:
        def done(answer: Answer) -> None:
            self._busy = False
            try:
                self._send_answer(answer, without_body=without_body)
                self._next_request()
            except Exception:  # noqa: BLE001 - as above
                self._failed()

        self._busy = True
        self._context.run_in_thread(find, done)

    def _failed(self) -> None:
        _log.exception("an answer could not be sent")
        self.abort()

    def _next_request(self) -> None:
        """Look at what came while the last request was being answered."""
        if self._at_rest and self._held:
            data, self._held = self._held, b""
            self._serve(data)
        if not self._at_rest:
            return
        if self._ended:
            self.abort()
        else:
            self._context.loop.watch(self._fd, self)

    @property
    def _at_rest(self) -> bool:
        return self._open and not self._busy and not self._unsent

    def _receive_early(self, data: bytes) -> None:
        """Hold what comes while an answer is being found. No data means that the client has closed its side."""
        if not data and not self._busy:
            self.abort()
            return
        self._held += data
        self._ended = not data
        if self._ended or len(self._held) > _EARLY_BYTES:
            # Otherwise epoll would keep reporting the socket.
            self._context.loop.forget(self._fd)

    def _tunnel(self, data: bytes) -> None:
        self._leave()
        self._context.open_tunnel(self._socket, self._address, data)

    def _leave(self) -> None:
        self._context.loop.forget(self._fd)
        self._open = False
        self._context.connection_left(self)

    # --- answers

    def _send_answer(self, answer: Answer, *, without_body: bool) -> None:
        self._send(parts_of(answer, self._context.loop.date, without_body=without_body, close=self._close))

    def _send_whole(self, whole: WholeImage) -> None:
        head, body = whole
        closing = b"Connection: close\r\n\r\n" if self._close else b"\r\n"
        self._send((self._context.loop.ok + head + closing, body))

    def _send(self, parts: Sequence[Part]) -> None:
        self.since = self._context.loop.clock
        try:
            sent = self._socket.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.abort()
            return
        if sent < sum(map(len, parts)):
            self._unsent = unsent(parts, sent)
            self._context.loop.watch(self._fd, self, WRITABLE)
        elif self._close or self._free:
            self._sent()

    def _send_rest(self) -> None:
        try:
            left = send(self._socket, self._unsent)
        except OSError:
            self.abort()
            return
        self._unsent = left
        self.since = self._context.loop.clock
        if not left:
            # Before the next request, or epoll would report all the time that there is room to send.
            self._context.loop.watch(self._fd, self)
            self._sent()
            self._next_request()

    def _sent(self) -> None:
        self._release()
        if self._close:
            # What the client still sends is read and thrown away: closing now would reset the connection, and the
            # client could lose the end of the answer (RFC 9112, section 9.6).
            self._held = b""
            self._close_sending()

    def _close_sending(self) -> None:
        self.lingers = True
        self.since = self._context.loop.clock
        self._context.loop.watch(self._fd, self)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _release(self) -> None:
        if self._free is not None:
            self._free()
            self._free = None
