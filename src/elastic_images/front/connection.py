"""One client's connection."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from elastic_images.core.errors import (
    ElasticImagesError,
    HeadTooLarge,
    InvalidRequest,
    RequestTimeout,
    TooLarge,
    Unavailable,
)
from elastic_images.front.admission import Admission, Answered
from elastic_images.front.backend import Backend, BackendOwner
from elastic_images.front.backend_places import Place
from elastic_images.front.event_loop import WRITABLE, EventLoop
from elastic_images.front.framing import MAX_HEAD_BYTES, RequestFrame, is_hopeless
from elastic_images.front.heads import PLAIN, Heads, Request, plain_environ
from elastic_images.front.held import HeldAnswers
from elastic_images.front.limits import Limits
from elastic_images.front.passage import Passage
from elastic_images.front.reads import Find, Reads, UpstreamRequest, WholeImage, WholeRead
from elastic_images.front.sending import Part, parts_of, send, unsent
from elastic_images.front.upstream import OnReply
from elastic_images.http.answer import Answer
from elastic_images.http.problems import problem_answer
from elastic_images.http.response_head import ResponseHead

_log = logging.getLogger(__name__)
_READ_BYTES = 16_384
_BODY_READ_BYTES = 131_072
_LINGER_SECONDS = 2.0
"""How long a client may take to close once its connection has ended: it may still be sending."""
_LAST_SECONDS = 1.0
"""The same while draining, and how long it may take then to finish a head."""
_EARLY_BYTES = 16_384
"""How much of later requests is accepted while one is being answered."""


class FrontContext(Protocol):
    """What the connections of one front share."""

    loop: EventLoop
    admission: Admission
    reads: Reads
    heads: Heads
    held: HeldAnswers
    limits: Limits
    draining: bool

    def ask_upstream(self, request: UpstreamRequest, on_reply: OnReply) -> None:
        """Send a request to another server; `on_reply` is called on the loop's thread."""

    def run_in_thread(self, find: Find, done: Callable[[Answer | None], None]) -> None:
        """Call `find` on a thread that may block, and `done` with its result on the loop's thread.

        What it leaves for later is called on a thread for slow reads.
        """

    def open_backend(self, address: str, owner: BackendOwner) -> Backend | None:
        """Connect to the backend for a client with this address; None if that fails."""

    def answer_early(self, answer: Callable[[], None]) -> None:
        """Call `answer` in a while."""

    def input_grew(self, by_bytes: int) -> None:
        """A connection holds more of a request. This may abort connections."""

    def connection_left(self, connection: Connection) -> None:
        """The connection was closed."""


class Connection:
    """Reads requests one after another, and answers each before it looks at the next.

    A hit runs through `ready`, `Reads.front_hit` and `_send`, and nothing else. What the front does not answer goes to
    the backend through a `Passage`.
    """

    __slots__ = (
        "_address",
        "_busy",
        "_close",
        "_context",
        "_ended",
        "_fd",
        "_free",
        "_head",
        "_held",
        "_is_old",
        "_open",
        "_passage",
        "_socket",
        "_unsent",
        "_waited_seconds",
        "client",
        "lingers",
        "since",
    )

    def __init__(self, context: FrontContext, connection: socket.socket, address: str, client: str | None) -> None:
        """`client`: see `places.Placed`."""
        self._context = context
        self._socket = connection
        self._fd = connection.fileno()
        self._address = address
        self.client = client
        self._held = b""
        self._head = b""
        """The head of the request that is being answered, in case the backend has to do that."""
        self._unsent: list[memoryview] = []
        self._busy = False
        self._close = False
        self._is_old = False
        self._ended = False
        self._open = True
        self.lingers = False
        """Whether the last answer is out and only the client's close is awaited."""
        self._free: Callable[[], None] | None = None
        self._passage: Passage | None = None
        self._waited_seconds = 0.0
        context.loop.watch(self._fd, self)
        self.since = context.loop.clock
        """When it last made progress: the end of an answer, or the last bytes of one that were sent."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way but perhaps the head of a request."""
        return self._open and not self._busy and not self._unsent

    @property
    def input_bytes(self) -> int:
        """How much of requests it holds."""
        return len(self._held) + (self._passage.collected_bytes if self._passage is not None else 0)

    @property
    def waited_seconds(self) -> float:
        """How long its client has kept us waiting for the rest of a request."""
        return self._passage.waited_seconds if self._busy and self._passage is not None else self._waited_seconds

    @property
    def waits_for_place(self) -> bool:
        """Whether it waits because its client has many other requests under way."""
        return self._busy and self._passage is not None and self._passage.waits_for_place

    @property
    def unsent_bytes(self) -> int:
        """How much of an answer is to be sent."""
        return sum(map(len, self._unsent))

    def check(self, passed_seconds: float, *, draining: bool) -> None:
        """End it if it is late. Called now and then, `passed_seconds` after the last call."""
        if not self._open:
            return
        context = self._context
        quiet_seconds = context.loop.clock - self.since
        if self.lingers:
            if quiet_seconds > (_LAST_SECONDS if draining else _LINGER_SECONDS):
                self.abort()
        elif self._unsent:
            if quiet_seconds > context.limits.idle_seconds:
                self.abort()
        elif self._busy:
            error = self._passage.overdue(passed_seconds) if self._passage is not None else None
            if error is not None:
                self._refuse(error)
        elif self._held:
            self._waited_seconds += passed_seconds
            if draining and quiet_seconds > _LAST_SECONDS:
                self.abort()
            elif self._waited_seconds > context.limits.request_seconds:
                self._refuse(RequestTimeout("The head of the request came too slowly."))
        elif draining or quiet_seconds > context.limits.idle_seconds:
            self._close_sending()  # it may be sending a request

    def ready(self, _events: int) -> None:
        """See `event_loop.Watched`."""
        if self._unsent:
            self._send_rest()
            return
        if self._busy:
            self._receive_early()
            return
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.abort()
            return
        if self.lingers:
            return
        if self._held:
            data, self._held = self._held + data, b""
        else:
            self._waited_seconds = 0.0
        self._serve(data)

    def abort(self) -> None:
        """Close the connection, whatever is under way."""
        if self._open:
            self._open = False
            self._context.loop.forget(self._fd)
            self._context.connection_left(self)
            self._socket.close()
        self._held, self._unsent = b"", []
        if self._passage is not None:
            self._passage.close()
        self._release()

    def make_room(self) -> None:
        """Give up the request that is held."""
        if self.waits_for_place:
            self._refuse(Unavailable("Too many requests of yours are under way; try again later."))
        else:
            self.abort()

    # --- requests

    def _serve(self, data: bytes) -> None:
        context = self._context
        for _ in range(context.limits.requests_in_a_turn):
            # The fast path: a plain request line, known header fields, an image in memory.
            plain = PLAIN(data)
            if plain is not None:
                block = data[plain.end() :]
                fields = context.heads.known.get((self._address, block)) or context.heads.of_one(block, self._address)
                if fields is not None and fields.whole and not context.draining:
                    name = plain[1].decode()
                    found = context.reads.front_hit(name, fields.environ, context.loop.now)
                    if found is not None:
                        self._send((context.loop.ok + found[0] + b"\r\n", found[1]))
                    else:
                        self._head = data
                        self._fetch_whole(WholeRead(name, "", partial(plain_environ, fields, name)))
                    return
            data = self._serve_any(data)
            if not data:
                return
        self._held = data
        self._busy = True
        context.loop.in_next_turn(self._have_turn)

    def _have_turn(self) -> None:
        self._busy = False
        try:
            self._next_request()
        except Exception:  # noqa: BLE001 - it must not affect other connections
            self._failed()

    def _serve_any(self, data: bytes) -> bytes:
        """Answer the first request, or begin to. Returns what follows it if that can be looked at now."""
        context = self._context
        if data[0] in b"\r\n":
            data = data.lstrip(b"\r\n")  # RFC 9112, section 2.2
            if not data:
                return b""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 and len(data) <= MAX_HEAD_BYTES and not is_hopeless(data):
            self._held = data
            context.input_grew(len(data))
            return b""
        self._waited_seconds = 0.0
        request = context.heads.read(data[:end], self._address) if 4 <= end <= MAX_HEAD_BYTES else None
        if request is None:
            self._pass_on(data, end)
        else:
            self._head, self._held = data[:end], data[end:]
            self._close, self._is_old = request.close or context.draining, request.is_old
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
                self._fetch_whole(WholeRead(name, environ["QUERY_STRING"], lambda: environ))
            return
        if name is not None:
            answer = context.reads.front_answer(name, environ, context.loop.now)
            if answer is not None:
                self._send_answer(answer, without_body=request.is_head)
                return
        self._answer_in_thread(lambda: context.reads.respond(environ), without_body=request.is_head)

    def _fetch_whole(self, read: WholeRead) -> None:
        """Fetch an image that is not in memory."""
        request = self._context.reads.upstream_request(read)
        if request is not None:
            self._ask_upstream(request)
        else:
            self._answer_in_thread(lambda: self._context.reads.respond(read.environ()), without_body=False)

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

    def _answer_in_thread(self, find: Find, *, without_body: bool) -> None:
        def done(answer: Answer | None) -> None:
            self._busy = False
            try:
                if answer is None:
                    self._pass_on(self._head, len(self._head))
                    return
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

    def _receive_early(self) -> None:
        """Take what comes while a request is under way: its body, or later requests."""
        is_body = self._passage is not None and self._passage.wants_body
        try:
            data = self._socket.recv(_BODY_READ_BYTES if is_body else _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if is_body:
            self._take_body(data)
            return
        # No data means that the client has closed its side.
        self._held += data
        self._ended = not data
        if self._ended and self._passage is not None:
            self._passage.client_left()
        if self._open:
            self._watch()

    def _watch(self) -> None:
        """Watch for what can be handled while a request is under way, or epoll would keep reporting the socket."""
        if self._unsent:
            self._context.loop.watch(self._fd, self, WRITABLE)
        elif self._passage.accepts if self._passage is not None and self._passage.wants_body else self._accepts_early:
            self._context.loop.watch(self._fd, self)
        else:
            self._context.loop.forget(self._fd)

    @property
    def _accepts_early(self) -> bool:
        return not self._ended and len(self._held) <= _EARLY_BYTES

    # --- requests that the backend answers

    def _pass_on(self, data: bytes, end: int) -> None:
        context = self._context
        try:
            if end < 4:
                raise (HeadTooLarge if len(data) > MAX_HEAD_BYTES else InvalidRequest)("This is no HTTP/1.1 request.")
            frame = RequestFrame(data[:end])
            most_bytes = context.limits.put_bytes if frame.method == b"PUT" else None
            if most_bytes is not None and (frame.length_bytes or 0) > most_bytes:
                raise TooLarge(f"An image may have at most {most_bytes} bytes.")
        except ElasticImagesError as error:
            self._refuse(error)
            return
        if self._passage is None:
            self._passage = Passage(self, partial(context.open_backend, self._address), context.limits)
        self._busy = True
        self._passage.begin(frame)
        if frame.awaits_continue and not frame.body.done and end == len(data):
            self.give(b"HTTP/1.1 100 Continue\r\n\r\n", 0)
        self._take_body(data[end:] or None)

    def _take_body(self, data: bytes | None) -> None:
        """Take what came of a body; None means nothing yet, and no bytes that the client has closed its side."""
        passage = self._passage
        assert passage is not None  # noqa: S101 - a request is being passed on
        if data == b"":
            self.abort()
            return
        self.since = self._context.loop.clock
        try:
            rest = passage.take(data or b"")
        except ElasticImagesError as error:
            self._refuse(error)
            return
        except Answered as answered:
            passage.close()
            self._context.loop.forget(self._fd)
            self._context.answer_early(partial(self._end_with, answered.answer))
            return
        self._held += rest
        self._context.input_grew(len(data or b""))
        if not self._busy:
            self._next_request()
        elif self._open:
            self._watch()

    def _refuse(self, error: ElasticImagesError) -> None:
        """Answer that the request cannot be taken, and end the connection."""
        self._end_with(problem_answer(error))

    def _end_with(self, answer: Answer) -> None:
        passage = self._passage
        if not self._open:
            return
        if passage is not None and passage.has_begun_answer:
            self.abort()
            return
        if passage is not None:
            passage.close()
        self._held, self._busy, self._close = b"", False, True
        self._send_answer(answer, without_body=False)

    # --- passage.PassageClient

    @property
    def has_room(self) -> bool:
        """See `passage.PassageClient`."""
        return not self._unsent

    def body_wanted(self) -> None:
        """See `passage.PassageClient`."""
        if self._open and self._busy:
            self._watch()

    def admit(self, frame: RequestFrame, body: bytes | bytearray, begin: Callable[[], None]) -> Place:
        """See `passage.PassageClient`."""
        later = partial(self._context.loop.in_next_turn, begin)
        return self._context.admission.admit(frame, body, self._address, self.client, later)

    def give(self, data: bytes, left_bytes: int) -> None:
        """See `passage.PassageClient`."""
        self.since = self._context.loop.clock
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.abort()
            return
        if sent < len(data):
            self._unsent = [memoryview(data)[sent:]]
            self._context.held.count(self, left_bytes + len(data) - sent)
            self._watch()

    def passage_over(self, *, close: bool) -> None:
        """See `passage.PassageClient`."""
        self._busy = False
        self._close = close  # not because of draining: the client was not told, and may send its next request
        if self._at_rest:
            self._sent()
            self._next_request()

    # --- answers

    def _send_answer(self, answer: Answer, *, without_body: bool) -> None:
        self._send(parts_of(answer, self._context.loop.date, self._connection_line, without_body=without_body))

    @property
    def _connection_line(self) -> bytes:
        if self._close:
            return b"Connection: close\r\n"
        return b"Connection: keep-alive\r\n" if self._is_old else b""

    def _send_whole(self, whole: WholeImage) -> None:
        head, body = whole
        self._send((self._context.loop.ok + head + self._connection_line + b"\r\n", body))

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
            self._hold(parts, sent)
        elif self._close or self._free:
            self._sent()

    def _hold(self, parts: Sequence[Part], sent_bytes: int) -> None:
        """Keep what the client has not taken."""
        self._unsent = unsent(parts, sent_bytes)
        if len(parts) > 1:
            free, self._free = self._free, None
            body = self._context.held.hold(self, bytes(parts[0]), parts[1], free)
            if not self._open:
                return  # cut off: it was the slowest itself
            self._unsent = unsent((parts[0], body), sent_bytes)
        self._context.loop.watch(self._fd, self, WRITABLE)

    def _send_rest(self) -> None:
        try:
            left = send(self._socket, self._unsent)
        except OSError:
            self.abort()
            return
        self._unsent = left
        self.since = self._context.loop.clock
        if left:
            return
        # Before the next request, or epoll would report all the time that there is room to send.
        self._watch()
        if self._busy:
            self._context.held.let_go(self)
            if self._passage is not None:
                self._passage.resume()
        else:
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
        self._context.held.let_go(self)
        if self._free is not None:
            self._free()
            self._free = None
