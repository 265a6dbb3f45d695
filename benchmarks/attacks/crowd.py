"""Many connections that misbehave, in a process of their own: `python -m benchmarks.attacks.crowd '{"kind": ...}'`.

They come from other addresses than the clients of good will. Whoever is cut off comes back. It goes on until its
standard input ends.
"""

from __future__ import annotations

import contextlib
import json
import resource
import select
import socket
import sys
import threading
import time
from dataclasses import dataclass, field

_TICK_SECONDS = 0.05
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Crowd:
    """What they do."""

    port: int
    count: int
    first: str = ""
    """What each sends at first."""
    trickle_seconds: float = 0.0
    """Each sends a byte so often; 0: never."""
    ahead: int = 0
    """How many copies of `first` each keeps sending ahead of its answers; they read as fast as they can."""
    read_bytes_per_second: int = 0
    """How much each reads, unless it sends ahead."""
    stagger_seconds: float = 0.0
    """How long after another each begins."""
    source: str = "127.0.0.2"
    return_seconds: float = 1.0
    """After how long those that were cut off come back."""

    @property
    def request(self) -> bytes:
        """`first` as bytes."""
        return self.first.encode("latin-1")


@dataclass(slots=True, eq=False)
class _Member:
    begins_at: float
    connection: socket.socket | None = None
    unsent: bytes = b""
    last_byte_at: float = 0.0
    may_read: float = field(default=0.0)


def run(crowd: Crowd) -> None:
    """Misbehave until standard input ends."""
    over = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(over,), daemon=True).start()
    now = time.monotonic()
    members = [_Member(now + number * crowd.stagger_seconds) for number in range(crowd.count)]
    poll = select.epoll()
    by_fd: dict[int, _Member] = {}
    told = False
    while not over.is_set():
        began = time.monotonic()
        for member in members:
            if member.connection is None and member.begins_at <= began:
                _connect(crowd, member, poll, by_fd)
        for fd, events in poll.poll(_TICK_SECONDS):
            if fd in by_fd:
                _handle(crowd, by_fd[fd], events, poll, by_fd)
        if not crowd.ahead:
            _slowly(crowd, members, poll, by_fd)
            time.sleep(max(0.0, _TICK_SECONDS - (time.monotonic() - began)))
        if not told and began > now + crowd.count * crowd.stagger_seconds:
            told = True
            print("here", flush=True)


def _wait_for_the_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def _connect(crowd: Crowd, member: _Member, poll: select.epoll, by_fd: dict[int, _Member]) -> None:
    connection = socket.socket()
    try:
        connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
        if crowd.read_bytes_per_second:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        # Without choosing a port yet, so that there are as many as addresses at the other end allow.
        connection.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        connection.bind((crowd.source, 0))
        with contextlib.suppress(BlockingIOError):
            connection.connect(("127.0.0.1", crowd.port))
    except OSError:
        connection.close()
        member.begins_at = time.monotonic() + crowd.return_seconds
        return
    member.connection, member.unsent = connection, crowd.request * (crowd.ahead or 1)
    member.last_byte_at = time.monotonic()
    by_fd[connection.fileno()] = member
    reads = 0 if crowd.read_bytes_per_second else select.EPOLLIN
    poll.register(connection.fileno(), reads | (select.EPOLLOUT if member.unsent else 0))


def _handle(crowd: Crowd, member: _Member, events: int, poll: select.epoll, by_fd: dict[int, _Member]) -> None:
    connection = member.connection
    assert connection is not None
    try:
        if events & select.EPOLLOUT:
            member.unsent = member.unsent[connection.send(member.unsent[:_READ_BYTES]) :]
            if crowd.ahead and len(member.unsent) < _READ_BYTES:
                member.unsent += crowd.request * crowd.ahead
            if not member.unsent:
                poll.modify(connection.fileno(), 0 if crowd.read_bytes_per_second else select.EPOLLIN)
        if events & select.EPOLLIN and not connection.recv(_READ_BYTES):
            raise ConnectionError
        if events & (select.EPOLLERR | select.EPOLLHUP):
            raise ConnectionError
    except BlockingIOError:
        pass
    except OSError:
        _leave(crowd, member, poll, by_fd)


def _slowly(crowd: Crowd, members: list[_Member], poll: select.epoll, by_fd: dict[int, _Member]) -> None:
    now = time.monotonic()
    for member in members:
        if member.connection is None or member.unsent:
            continue
        try:
            if crowd.trickle_seconds and now - member.last_byte_at >= crowd.trickle_seconds:
                member.last_byte_at = now
                member.connection.send(b"x")
            if crowd.read_bytes_per_second:
                member.may_read += crowd.read_bytes_per_second * _TICK_SECONDS
                if member.may_read >= 1024:
                    got = member.connection.recv(int(member.may_read))
                    member.may_read -= len(got)
                    if not got:
                        raise ConnectionError
        except BlockingIOError:
            pass
        except OSError:
            _leave(crowd, member, poll, by_fd)


def _leave(crowd: Crowd, member: _Member, poll: select.epoll, by_fd: dict[int, _Member]) -> None:
    connection, member.connection = member.connection, None
    assert connection is not None
    poll.unregister(connection.fileno())
    del by_fd[connection.fileno()]
    connection.close()
    member.begins_at = time.monotonic() + crowd.return_seconds


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    run(Crowd(**json.loads(sys.argv[1])))
