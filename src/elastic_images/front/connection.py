"""One client's connection, as long as it asks for nothing but images."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from elastic_images.front.heads import MAX_HEAD_BYTES, PLAIN, Heads, Request, plain_environ
from elastic_images.front.loop import WRITABLE, Loop
from elastic_images.front.reads import Environ, Question, Reads, Whole
from elastic_images.front.sending import Part, parts_of, send, unsent
from elastic_images.front.upstream import Ended
from elastic_images.http.answer import Answer
from elastic_images.http.response_head import ResponseHead

_log = logging.getLogger(__name__)
_READ_BYTES = 16_384
_LINGER_SECONDS = 1.0
"""So long a client may take to finish a request, or to take note of the end, when the connection is to be closed."""
_EARLY_BYTES = 65_536
"""So much of further requests is taken in while one is being answered."""


class House(Protocol):
    """What the connections of one front share."""

    loop: Loop
    reads: Reads
    heads: Heads
    draining: bool

    def ask(self, question: Question, ended: Ended) -> None:
        """Ask another server; `ended` is called on the loop's thread."""

    def work(self, find: Callable[[], Answer], done: Callable[[Answer], None]) -> None:
        """Call `find` on a thread that may wait, and `done` with what it gave on the loop's thread."""

    def pass_on(self, connection: socket.socket, address: str, start: bytes) -> None:
        """Let the server behind have the connection, which began with these bytes."""

    def left(self, client: Client) -> None:
        """The connection is no longer a client's."""


class Client:
    """Reads requests one after another, and answers each before it looks at the next.

    A hit runs through `ready`, `Reads.hit` and `_send`, and nothing else.
    """

    __slots__ = (
        "_address",
        "_busy",
        "_close",
        "_connection",
        "_ended",
        "_fd",
        "_free",
        "_held",
        "_house",
        "_open",
        "_unsent",
        "lingers",
        "since",
    )

    def __init__(self, house: House, connection: socket.socket, address: str) -> None:
        self._house = house
        self._connection = connection
        self._fd = connection.fileno()
        self._address = address
        self._held = b""
        self._unsent: list[memoryview] = []
        self._busy = False
        self._close = False
        self._ended = False
        self._open = True
        self.lingers = False
        """Whether the last answer is out, and only the client's end is waited for."""
        self._free: Callable[[], None] | None = None
        house.loop.watch(self._fd, self)
        self.since = house.loop.clock
        """When it last got on: the end of an answer, or the last bytes of one that went out."""

    def is_late(self, idle_seconds: float, *, draining: bool) -> bool:
        """Whether to close it: the client has not got on for so long, or nothing is under way where that is the end."""
        if self._busy:
            return False
        if draining and not self._unsent and not self.lingers:
            idle_seconds = _LINGER_SECONDS if self._held else 0.0
        return self._house.loop.clock - self.since > (_LINGER_SECONDS if self.lingers else idle_seconds)

    def ready(self, _events: int) -> None:
        """See `loop.Watched`."""
        if self._unsent:
            self._send_rest()
            return
        try:
            data = self._connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if self._busy or not data:
            self._early(data)
            return
        if self.lingers:
            return
        if self._held:
            data, self._held = self._held + data, b""
        self._serve(data)

    def abort(self) -> None:
        """Close the connection, whatever is under way."""
        if self._open:
            self._leave()
            self._connection.close()
        self._held, self._unsent = b"", []
        self._release()

    # --- requests

    def _serve(self, data: bytes) -> None:
        house = self._house
        while data:
            # The shortest way: a plain request line, header fields that are known, an image in memory.
            plain = PLAIN(data)
            if plain is not None:
                fields = house.heads.known.get((self._address, data[plain.end() :]))
                if fields is not None and fields.whole and not house.draining:
                    name = plain[1].decode()
                    found = house.reads.hit(name, fields.environ, house.loop.now)
                    if found is not None:
                        self._send((house.loop.ok + found[0] + b"\r\n", found[1]))
                    else:
                        self._find_whole(name, partial(plain_environ, fields, name))
                    return
            data = self._serve_any(data)

    def _serve_any(self, data: bytes) -> bytes:
        """Answer the first request, or begin to. What follows it, where that is to be looked at now."""
        house = self._house
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 and len(data) <= MAX_HEAD_BYTES and house.heads.may_be_ours(data):
            self._held = data
            return b""
        request = house.heads.read(data[:end], self._address) if 4 <= end <= MAX_HEAD_BYTES else None
        if request is None:
            self._pass_on(data)
            return b""
        self._held = data[end:]
        self._close = request.fields.close or house.draining
        self._begin(request)
        if self._busy or self._unsent or not self._held:
            return b""
        rest, self._held = self._held, b""
        return rest

    def _begin(self, request: Request) -> None:
        house, name, environ = self._house, request.name, request.environ
        whole = request.fields.whole and not request.is_head
        if name is not None and whole:
            found = house.reads.hit(name, environ, house.loop.now)
            if found is not None:
                self._send_whole(found)
            else:
                self._find_whole(name, lambda: environ)
            return
        if name is not None:
            given = house.reads.from_memory(name, environ, house.loop.now)
            if given is not None:
                self._answer(given, without_body=request.is_head)
                return
        self._work(lambda: house.reads.respond(environ), without_body=request.is_head)

    def _find_whole(self, name: str, environ: Callable[[], Environ]) -> None:
        """Have an image found that is not in memory."""
        question = self._house.reads.question(name)
        if question is not None:
            self._ask(question)
        else:
            self._work(lambda: self._house.reads.respond(environ()), without_body=False)

    def _ask(self, question: Question) -> None:
        def ended(head: ResponseHead | None, body: memoryview, free: Callable[[], None]) -> None:
            self._busy = False
            self._free = free
            try:
                found = question.ended(head, body)
                if isinstance(found, tuple):
                    self._send_whole(found)
                    self._go_on()
                else:
                    self._release()
                    self._work(found, without_body=False)
            except Exception:  # noqa: BLE001 - who asked must not wait for ever
                self._failed()

        self._busy = True
        self._house.ask(question, ended)

    def _work(self, find: Callable[[], Answer], *, without_body: bool) -> None:
        def done(answer: Answer) -> None:
            self._busy = False
            try:
                self._answer(answer, without_body=without_body)
                self._go_on()
            except Exception:  # noqa: BLE001 - as above
                self._failed()

        self._busy = True
        self._house.work(find, done)

    def _failed(self) -> None:
        _log.exception("an answer could not be given on")
        self.abort()

    def _answer(self, answer: Answer, *, without_body: bool) -> None:
        self._send(parts_of(answer, self._house.loop.date, without_body=without_body, close=self._close))

    def _send_whole(self, whole: Whole) -> None:
        head, body = whole
        closing = b"Connection: close\r\n\r\n" if self._close else b"\r\n"
        self._send((self._house.loop.ok + head + closing, body))

    def _go_on(self) -> None:
        """Look at what came while an answer was found or sent."""
        if self._at_rest and self._held:
            data, self._held = self._held, b""
            self._serve(data)
        if not self._at_rest:
            return
        if self._ended:
            self.abort()
        else:
            self._house.loop.watch(self._fd, self)

    @property
    def _at_rest(self) -> bool:
        return self._open and not self._busy and not self._unsent

    def _early(self, data: bytes) -> None:
        """Take in what comes while an answer is being found; where nothing comes any more, that is the end of it."""
        if not data and not self._busy:
            self.abort()
            return
        self._held += data
        self._ended = not data
        if self._ended or len(self._held) > _EARLY_BYTES:
            # Not watched at all: whoever is gone would be reported again and again.
            self._house.loop.forget(self._fd)

    def _pass_on(self, data: bytes) -> None:
        self._leave()
        self._house.pass_on(self._connection, self._address, data)

    def _leave(self) -> None:
        self._house.loop.forget(self._fd)
        self._open = False
        self._house.left(self)

    # --- answers

    def _send(self, parts: Sequence[Part]) -> None:
        self.since = self._house.loop.clock
        try:
            sent = self._connection.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.abort()
            return
        if sent < sum(map(len, parts)):
            self._unsent = unsent(parts, sent)
            self._house.loop.watch(self._fd, self, WRITABLE)
        elif self._close or self._free:
            self._sent()

    def _send_rest(self) -> None:
        try:
            left = send(self._connection, self._unsent)
        except OSError:
            self.abort()
            return
        self._unsent = left
        self.since = self._house.loop.clock
        if not left:
            # Before the next request: there is room to send all the time while that is answered.
            self._house.loop.watch(self._fd, self)
            self._sent()
            self._go_on()

    def _sent(self) -> None:
        self._release()
        if self._close:
            # What the client sent meanwhile is read and thrown away: closing over it would reset the connection, and
            # could take the end of the answer away (RFC 9112, section 9.6).
            self._held = b""
            self.lingers = True
            self._house.loop.watch(self._fd, self)
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)

    def _release(self) -> None:
        if self._free is not None:
            self._free()
            self._free = None
