"""Requests to other servers of ours, sent and answered on the front's thread."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from elastic_images.front.buffers import Buffers
from elastic_images.front.connect import begin_connect
from elastic_images.front.event_loop import READABLE, WRITABLE, EventLoop
from elastic_images.front.held import HeldAnswers
from elastic_images.front.reads import UpstreamRequest
from elastic_images.http.response_head import MAX_HEAD_BYTES, ResponseHead, parse_response_head

ANSWER_SECONDS = 2.5
_CONNECTIONS = 64
"""Per address. Further requests wait until one of these is free."""
_IDLE_SECONDS = 60.0
"""Shorter than servers keep a connection (90 s): the side that sends must be the one that closes first."""
_FIRST_READ_BYTES = 16_384
_READS_IN_A_TURN = 8
_LARGE_BYTES = 1_000_000
"""Bodies from this size on take up room while they arrive."""

OnReply = Callable[[ResponseHead | None, memoryview, Callable[[], None]], None]
"""Called with a reply: its head (None if none came in time), its body, and what to call once the body was sent."""
_NOTHING = memoryview(b"")


class _Pending(NamedTuple):
    request: UpstreamRequest
    on_reply: OnReply
    deadline: float

    def fail(self) -> None:
        self.on_reply(None, _NOTHING, _do_nothing)


class Upstreams:
    """Keeps connections to any number of servers, on the loop's thread.

    A reply is delivered whole or not at all: one that breaks off can still be fetched elsewhere.
    """

    def __init__(
        self,
        loop: EventLoop,
        held: HeldAnswers,
        *,
        arriving_bytes: int,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """`held`: bodies that are in memory already. At most `arriving_bytes` of large ones arrive at a time."""
        self._loop = loop
        self._answer_seconds = answer_seconds
        self._upstreams: dict[tuple[str, int], _Upstream] = {}
        self.buffers = Buffers()
        self._shared = _Shared(loop, held, self.buffers, _Room(arriving_bytes))
        loop.on_tick(self._check)

    def ask(self, request: UpstreamRequest, on_reply: OnReply) -> None:
        """Send a request. `on_reply` is called once, perhaps before this returns, and must not raise."""
        upstream = self._upstreams.get(request.address)
        if upstream is None:
            upstream = self._upstreams[request.address] = _Upstream(request.address, self._shared)
        upstream.ask(_Pending(request, on_reply, self._loop.clock + self._answer_seconds))

    def close(self) -> None:
        """Close all connections; requests under way get no reply."""
        for upstream in self._upstreams.values():
            upstream.close()
        self._upstreams.clear()

    def _check(self) -> None:
        for address, upstream in list(self._upstreams.items()):
            upstream.check()
            if upstream.unused:
                del self._upstreams[address]


class _Room:
    """For the large bodies that are arriving: those that find none wait, and the first of them always finds some."""

    def __init__(self, room_bytes: int) -> None:
        self._left_bytes = self._room_bytes = room_bytes
        self._waiting: deque[_UpstreamConnection] = deque()

    def take(self, size_bytes: int, connection: _UpstreamConnection) -> bool:
        """Take room; if there is none, `room_found` is called once there may be some."""
        if size_bytes <= self._left_bytes or self._left_bytes == self._room_bytes:
            self._left_bytes -= size_bytes
            return True
        self._waiting.append(connection)
        return False

    def give_back(self, size_bytes: int) -> None:
        """The body has arrived, or never will."""
        self._left_bytes += size_bytes
        for _ in range(len(self._waiting)):
            if self._left_bytes <= 0:
                return
            self._waiting.popleft().room_found()


class _Shared(NamedTuple):
    """What all connections share."""

    loop: EventLoop
    held: HeldAnswers
    buffers: Buffers
    room: _Room


class _Upstream:
    """The connections to one server, and the requests that wait for one."""

    def __init__(self, address: tuple[str, int], shared: _Shared) -> None:
        self._address = address
        self._shared = shared
        self._idle: list[_UpstreamConnection] = []
        self._all: set[_UpstreamConnection] = set()
        self._waiting: deque[_Pending] = deque()

    @property
    def unused(self) -> bool:
        return not self._all and not self._waiting

    def ask(self, pending: _Pending) -> None:
        if self._idle:
            self._idle.pop().ask(pending)
        elif len(self._all) < _CONNECTIONS:
            self.ask_anew(pending)
        else:
            self._waiting.append(pending)

    def ask_anew(self, pending: _Pending) -> None:
        """Ask on a new connection."""
        connection = self._connect()
        if connection is None:
            pending.fail()
        else:
            self._all.add(connection)
            connection.ask(pending)

    def free(self, connection: _UpstreamConnection) -> None:
        """The connection has nothing to do."""
        if self._waiting:
            connection.ask(self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: _UpstreamConnection) -> None:
        """The connection is closed."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        while self._waiting and len(self._all) < _CONNECTIONS:
            # If nothing listens there any more, all that wait learn it at once.
            self.ask_anew(self._waiting.popleft())

    def check(self) -> None:
        now = self._shared.loop.clock
        while self._waiting and self._waiting[0].deadline < now:
            self._waiting.popleft().fail()
        for connection in list(self._all):
            connection.check(now)

    def close(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for pending in waiting:
            pending.fail()
        for connection in list(self._all):
            connection.abort()

    def _connect(self) -> _UpstreamConnection | None:
        try:
            made = begin_connect(self._address)
        except OSError:
            return None
        try:
            return _UpstreamConnection(made, self, self._shared)
        except OSError:
            made.close()
            return None


class _UpstreamConnection:
    """One request at a time."""

    def __init__(self, made: socket.socket, upstream: _Upstream, shared: _Shared) -> None:
        self._loop = loop = shared.loop
        self._socket = made
        self._fd = made.fileno()
        self._upstream = upstream
        self._held = shared.held
        self._buffers = shared.buffers
        self._room = shared.room
        self._room_bytes = 0
        self._waits_for_room = False
        self._pending: _Pending | None = None
        self._unsent = b""
        self._start = b""
        self._head: ResponseHead | None = None
        self._body = _NOTHING
        self._have_bytes = 0
        self._idle_since = loop.clock
        self._used = False
        loop.watch(self._fd, self)

    def ask(self, pending: _Pending) -> None:
        self._pending = pending
        self._unsent = pending.request.request
        self._send()

    def ready(self, _events: int) -> None:
        """See `event_loop.Watched`."""
        if self._unsent:
            self._send()
        elif self._pending is None:
            self.abort()  # closed by the server, or a reply to nothing
        elif self._head is None:
            self._receive_head()
        else:
            self._receive_body()

    def abort(self) -> None:
        """Close it. A request under way gets no reply."""
        if self._socket.fileno() < 0:
            return
        self._loop.forget(self._fd)
        self._socket.close()
        pending, self._pending = self._pending, None
        self._release_body()
        if pending is not None:
            pending.fail()
        self._upstream.lost(self)

    def check(self, now: float) -> None:
        if self._waits_for_room:
            return  # the server has answered, and we let it wait
        if self._pending.deadline < now if self._pending else self._idle_since + _IDLE_SECONDS < now:
            self.abort()

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._closed()
            return
        self._loop.watch(self._fd, self, WRITABLE if self._unsent else READABLE)

    def _closed(self) -> None:
        """The server closed it. If that was before it saw the request, ask again on another connection."""
        if self._used and not self._start and self._head is None:
            pending, self._pending = self._pending, None
            self.abort()
            if pending is not None:
                self._upstream.ask_anew(pending)
        else:
            self.abort()

    def _receive_head(self) -> None:
        try:
            data = self._socket.recv(_FIRST_READ_BYTES)
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
        have = len(data) - end - 4
        if have > head.body_bytes:
            self.abort()
        elif have == head.body_bytes:
            self._done(memoryview(data)[end + 4 :], _do_nothing)
        else:
            self._start = data[end + 4 :]
            self._begin_body(head)

    def _begin_body(self, head: ResponseHead) -> None:
        size = head.body_bytes
        if size >= _LARGE_BYTES:
            held = self._held.find(head.headers.get("etag"), size)
            if held is not None:
                self._deliver_instead(head, memoryview(held))
                return
            if not self._room.take(size, self):
                self._waits_for_room = True
                self._loop.forget(self._fd)
                return
            self._room_bytes = size
        self._body = self._buffers.acquire(size)
        self._have_bytes = len(self._start)
        self._body[: self._have_bytes] = self._start
        self._start = b""
        self._receive_body()

    def room_found(self) -> None:
        """See `_Room.take`."""
        if self._waits_for_room and self._head is not None and self._pending is not None:
            self._waits_for_room = False
            self._pending = self._pending._replace(deadline=self._loop.clock + ANSWER_SECONDS)
            self._loop.watch(self._fd, self)
            self._begin_body(self._head)

    def _deliver_instead(self, head: ResponseHead, body: memoryview) -> None:
        """Answer with equal bytes that are in memory. Those that would arrive are refused with the connection."""
        pending, self._pending = self._pending, None
        self.abort()
        if pending is not None:
            pending.on_reply(head, body, _do_nothing)

    def _receive_body(self) -> None:
        try:
            for _ in range(_READS_IN_A_TURN):
                got = self._socket.recv_into(self._body[self._have_bytes :])
                if not got:
                    self.abort()
                    return
                self._have_bytes += got
                if self._have_bytes == len(self._body):
                    break
            else:
                return  # others have their turn
        except BlockingIOError:
            return
        except OSError:
            self.abort()
            return
        body, self._body = self._body, _NOTHING
        self._done(body, lambda: self._buffers.release(body))

    def _done(self, body: memoryview, free: Callable[[], None]) -> None:
        pending, head = self._pending, self._head
        self._pending = self._head = None
        self._used = True
        self._idle_since = self._loop.clock
        room_bytes, self._room_bytes = self._room_bytes, 0
        if head is not None and not head.keeps_connection:
            self.abort()
        else:
            self._upstream.free(self)
        if pending is not None:
            pending.on_reply(head, body, free)
        if room_bytes:
            self._room.give_back(room_bytes)  # after the body was given on: the next may be equal

    def _release_body(self) -> None:
        if self._body:
            self._buffers.release(self._body)
        self._body, self._head, self._start = _NOTHING, None, b""
        self._waits_for_room = False
        room_bytes, self._room_bytes = self._room_bytes, 0
        if room_bytes:
            self._room.give_back(room_bytes)


def _do_nothing() -> None:
    pass
