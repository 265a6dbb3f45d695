"""One thread that waits for many sockets.

It uses `select.epoll` directly: `selectors` and `asyncio` make objects for each event, which costs as much again as a
whole hit (8 us; `asyncio` with a protocol took 24, measured on the same requests).
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol

READABLE, WRITABLE = getattr(select, "EPOLLIN", 1), getattr(select, "EPOLLOUT", 4)
TICK_SECONDS = 0.2
_TURNS_AT_ONCE = 16
"""How many of those who wait for their next turn have it before the sockets are looked at again."""
_log = logging.getLogger(__name__)


def supported() -> bool:
    """Whether this system has what an `EventLoop` needs (Linux does)."""
    return hasattr(select, "epoll") and hasattr(os, "eventfd")


class Watched(Protocol):
    """The owner of a socket in the loop."""

    def ready(self, events: int) -> None:
        """The socket may be readable or writable, or the connection may have ended: try it."""

    def abort(self) -> None:
        """Close everything: `ready` raised."""


class EventLoop:
    """Calls the owners of sockets that are ready. All methods but `post` are for its own thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Watched] = {}
        self._events: dict[int, int] = {}
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, READABLE)
        self._posted: deque[Callable[[], None]] = deque()
        self._next_turn: deque[Callable[[], None]] = deque()
        self._closing = threading.Lock()
        self._closed = False
        self._every_tick: list[Callable[[], None]] = []
        self._ended = False
        self._second = 0
        self.now = 0.0
        """Seconds since the epoch, read once per wake-up."""
        self.clock = 0.0
        """The monotonic clock, read at the same time."""
        self.date = self.ok = b""
        self._look_at_clocks()

    def watch(self, fd: int, owner: Watched, events: int = READABLE) -> None:
        """From now on call `owner` when the socket is ready for these events, and no others. 0 means `forget`.

        Never watch a socket for nothing: epoll would keep reporting its end.
        """
        before = self._events.get(fd, 0)
        if events == before:
            return
        if not events:
            self.forget(fd)
            return
        (self._epoll.modify if before else self._epoll.register)(fd, events)
        self._watched[fd], self._events[fd] = owner, events

    def forget(self, fd: int) -> None:
        """Stop watching. Call it before closing the socket: its descriptor may be reused at once."""
        if self._watched.pop(fd, None) is not None:
            del self._events[fd]
            self._epoll.unregister(fd)

    def post(self, call: Callable[[], None]) -> None:
        """Run `call` on the loop's thread. From any thread; does nothing once the loop has been closed."""
        with self._closing:
            if not self._closed:
                self._posted.append(call)
                os.eventfd_write(self._bell, 1)

    def in_next_turn(self, call: Callable[[], None]) -> None:
        """Run `call` after everything that is ready now, and what becomes ready meanwhile, has had its turn.

        Calls keep their order. Who has just become ready does not wait for all of them.
        """
        self._next_turn.append(call)

    def on_tick(self, call: Callable[[], None]) -> None:
        """Run `call` about five times a second."""
        self._every_tick.append(call)

    def end(self) -> None:
        """Make `run` return after everything that is ready has been handled."""
        self._ended = True

    def run(self) -> None:
        """Run until `end`."""
        watched, poll, ticked_at, next_turn = self._watched, self._epoll.poll, 0.0, self._next_turn
        while not self._ended:
            ready = poll(0 if next_turn else TICK_SECONDS)
            self._look_at_clocks()
            waiting = min(len(next_turn), _TURNS_AT_ONCE)
            for fd, events in ready:
                owner = watched.get(fd)
                if owner is None:
                    if fd == self._bell:
                        self._call_posted()
                    continue
                try:
                    owner.ready(events)
                except Exception:  # noqa: BLE001 - it must not affect other connections
                    _log.exception("a connection failed")
                    self._try(owner.abort)
            for _ in range(waiting):
                self._try(next_turn.popleft())
            if self.clock - ticked_at >= TICK_SECONDS:
                ticked_at = self.clock
                for call in self._every_tick:
                    self._try(call)

    def close(self) -> None:
        """Release the descriptors. Call it after `run` has returned."""
        with self._closing:  # a later `post` must not write to a reused descriptor
            self._closed = True
            self._epoll.close()
            os.close(self._bell)

    def _call_posted(self) -> None:
        os.eventfd_read(self._bell)
        while self._posted:
            self._try(self._posted.popleft())

    @staticmethod
    def _try(call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001 - as above
            _log.exception("a call failed")

    def _look_at_clocks(self) -> None:
        self.now, self.clock = time.time(), time.monotonic()
        second = int(self.now)
        if second != self._second:
            self._second = second
            self.date = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
            self.ok = b"HTTP/1.1 200 OK\r\n" + self.date
