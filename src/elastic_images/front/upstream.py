"""Questions to other servers of ours, asked and answered on the front's thread."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from elastic_images.front.connect import begin_connect
from elastic_images.front.loop import READABLE, WRITABLE, Loop
from elastic_images.front.reads import Question
from elastic_images.http.response_head import MAX_HEAD_BYTES, ResponseHead, parse_response_head

ANSWER_SECONDS = 2.5
_CONNECTIONS = 64
"""To each address. Further questions wait for one of these to be free."""
_IDLE_SECONDS = 60.0
"""Shorter than servers keep a connection (90 s): who closes first must be the one who sends."""
_FIRST_READ_BYTES = 16_384
_KEPT_BUFFER_BYTES = 16_000_000
_SMALL_BYTES = 131_072

Ended = Callable[[ResponseHead | None, memoryview, Callable[[], None]], None]
"""Is told of a reply: its head (None: there was none in time), its bytes, and what to call when they are sent."""
_NOTHING = memoryview(b"")


class _Asked(NamedTuple):
    question: Question
    ended: Ended
    deadline: float


class Exchanges:
    """Keeps connections to any number of servers, on the loop's thread.

    A reply is given on as a whole, or not at all: what breaks off in the middle can still be had elsewhere.
    """

    def __init__(self, loop: Loop, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._loop = loop
        self._answer_seconds = answer_seconds
        self._servers: dict[tuple[str, int], _Server] = {}
        self.buffers = Buffers()
        loop.on_tick(self._check)

    def ask(self, question: Question, ended: Ended) -> None:
        """Ask. `ended` is called once: with the reply, the bytes, and what is to be called when they are sent.

        It may be called before this returns, and must not raise.
        """
        server = self._servers.get(question.address)
        if server is None:
            server = self._servers[question.address] = _Server(self._loop, question.address, self.buffers)
        server.ask(_Asked(question, ended, self._loop.clock + self._answer_seconds))

    def close(self) -> None:
        """Close all connections; questions under way end without an answer."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _check(self) -> None:
        for address, server in list(self._servers.items()):
            server.check()
            if server.unused:
                del self._servers[address]


class _Server:
    """The connections to one server, and the questions that wait for one."""

    def __init__(self, loop: Loop, address: tuple[str, int], buffers: Buffers) -> None:
        self._loop = loop
        self._address = address
        self._buffers = buffers
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._waiting: deque[_Asked] = deque()

    @property
    def unused(self) -> bool:
        return not self._all and not self._waiting

    def ask(self, asked: _Asked) -> None:
        if self._idle:
            self._idle.pop().ask(asked)
        elif len(self._all) < _CONNECTIONS:
            self.ask_anew(asked)
        else:
            self._waiting.append(asked)

    def ask_anew(self, asked: _Asked) -> None:
        """Ask by a connection that was not used yet."""
        made = self._connect()
        if made is None:
            asked.ended(None, _NOTHING, _do_nothing)
        else:
            self._all.add(made)
            made.ask(asked)

    def free(self, connection: _Connection) -> None:
        """The connection has nothing to do."""
        if self._waiting:
            connection.ask(self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        """The connection is closed."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        while self._waiting and len(self._all) < _CONNECTIONS:
            # Where nobody listens any more, all who wait learn so at once.
            self.ask_anew(self._waiting.popleft())

    def check(self) -> None:
        now = self._loop.clock
        while self._waiting and self._waiting[0].deadline < now:
            self._waiting.popleft().ended(None, _NOTHING, _do_nothing)
        for connection in list(self._all):
            connection.check(now)

    def close(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for asked in waiting:
            asked.ended(None, _NOTHING, _do_nothing)
        for connection in list(self._all):
            connection.abort()

    def _connect(self) -> _Connection | None:
        try:
            connection = begin_connect(self._address)
        except OSError:
            return None
        try:
            return _Connection(self._loop, connection, self, self._buffers)
        except OSError:
            connection.close()
            return None


class _Connection:
    """One question at a time."""

    def __init__(self, loop: Loop, connection: socket.socket, server: _Server, buffers: Buffers) -> None:
        self._loop = loop
        self._connection = connection
        self._fd = connection.fileno()
        self._server = server
        self._buffers = buffers
        self._asked: _Asked | None = None
        self._unsent = b""
        self._start = b""
        self._head: ResponseHead | None = None
        self._body = _NOTHING
        self._have_bytes = 0
        self._idle_since = loop.clock
        self._used = False
        loop.watch(self._fd, self)

    def ask(self, asked: _Asked) -> None:
        self._asked = asked
        self._unsent = asked.question.request
        self._send()

    def ready(self, _events: int) -> None:
        """See `loop.Watched`."""
        if self._unsent:
            self._send()
        elif self._asked is None:
            self.abort()  # closed by the server, or it says what nobody asked for
        elif self._head is None:
            self._receive_head()
        else:
            self._receive_body()

    def abort(self) -> None:
        """Close it. Who asked gets no answer."""
        if self._connection.fileno() < 0:
            return
        self._loop.forget(self._fd)
        self._connection.close()
        asked, self._asked = self._asked, None
        self._give_back()
        if asked is not None:
            asked.ended(None, _NOTHING, _do_nothing)
        self._server.lost(self)

    def check(self, now: float) -> None:
        if self._asked.deadline < now if self._asked else self._idle_since + _IDLE_SECONDS < now:
            self.abort()

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._connection.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._closed()
            return
        self._loop.watch(self._fd, self, WRITABLE if self._unsent else READABLE)

    def _closed(self) -> None:
        """The server closed it. Where that was before it saw the question, another connection asks again."""
        if self._used and not self._start and self._head is None:
            asked, self._asked = self._asked, None
            self.abort()
            if asked is not None:
                self._server.ask_anew(asked)
        else:
            self.abort()

    def _receive_head(self) -> None:
        try:
            data = self._connection.recv(_FIRST_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        data = self._start + data if self._start else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) == len(self._start):
                self._closed()
            elif len(data) > MAX_HEAD_BYTES:
                self.abort()
            self._start = data
            return
        self._start = b""
        try:
            self._head = head = parse_response_head(data[:end])
        except (ValueError, LookupError):
            self.abort()
            return
        length = head.body_bytes
        have = len(data) - end - 4
        if have > length:
            self.abort()
        elif have == length:
            self._done(memoryview(data)[end + 4 :], _do_nothing)
        else:
            self._body = self._buffers.take(length)
            self._body[:have] = memoryview(data)[end + 4 :]
            self._have_bytes = have
            self._receive_body()

    def _receive_body(self) -> None:
        try:
            while self._have_bytes < len(self._body):
                got = self._connection.recv_into(self._body[self._have_bytes :])
                if not got:
                    self.abort()
                    return
                self._have_bytes += got
        except BlockingIOError:
            return
        except OSError:
            self.abort()
            return
        body, self._body = self._body, _NOTHING
        self._done(body, lambda: self._buffers.give_back(body))

    def _done(self, body: memoryview, free: Callable[[], None]) -> None:
        asked, head = self._asked, self._head
        self._asked = self._head = None
        self._used = True
        self._idle_since = self._loop.clock
        if head is not None and not head.keeps_connection:
            self.abort()
        else:
            self._server.free(self)
        if asked is not None:
            asked.ended(head, body, free)

    def _give_back(self) -> None:
        if self._body:
            self._buffers.give_back(self._body)
        self._body, self._head = _NOTHING, None


class Buffers:
    """Memory that is used again: fresh memory for each large body costs more than the relaying itself.

    Measured with bodies of 1 MB: 900 us of processor for one when its memory was given back to the system each time,
    70 when it was kept.
    """

    def __init__(self, kept_bytes: int = _KEPT_BUFFER_BYTES) -> None:
        self._free: list[bytearray] = []
        self._room_bytes = kept_bytes

    def take(self, size_bytes: int) -> memoryview:
        """So many bytes to write into."""
        for number, buffer in enumerate(self._free):
            if size_bytes <= len(buffer):
                del self._free[number]
                self._room_bytes += len(buffer)
                return memoryview(buffer)[:size_bytes]
        # In powers of two, so that what is kept fits the next.
        return memoryview(bytearray(max(_SMALL_BYTES, 1 << (size_bytes - 1).bit_length())))[:size_bytes]

    def give_back(self, view: memoryview) -> None:
        """Nobody looks at the bytes any more."""
        buffer = view.obj
        assert isinstance(buffer, bytearray)  # noqa: S101 - it came from `take`
        if len(buffer) <= self._room_bytes:
            self._room_bytes -= len(buffer)
            self._free.append(buffer)


def _do_nothing() -> None:
    pass
