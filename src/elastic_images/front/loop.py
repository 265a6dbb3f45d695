"""One thread that waits for many sockets.

`select.epoll` itself, not `selectors` or `asyncio`: those make objects for each event, which costs as much again as the
whole of a hit (8 us; `asyncio` with a protocol took 24, timed on the same requests).
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
_log = logging.getLogger(__name__)


def supported() -> bool:
    """Whether this system has what a `Loop` stands on (Linux has)."""
    return hasattr(select, "epoll") and hasattr(os, "eventfd")


class Watched(Protocol):
    """What owns a socket in the loop."""

    def ready(self, events: int) -> None:
        """Something can be read or written, or the connection is at its end; perhaps none of them: try it."""

    def abort(self) -> None:
        """Close everything: `ready` has failed."""


class Loop:
    """Calls the owners of sockets that are ready. Everything but `post` is for its own thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Watched] = {}
        self._events: dict[int, int] = {}
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, READABLE)
        self._posted: deque[Callable[[], None]] = deque()
        self._closing = threading.Lock()
        self._closed = False
        self._every_tick: list[Callable[[], None]] = []
        self._ended = False
        self._second = 0
        self.now = 0.0
        """Seconds since the epoch, read once for all that is ready at a time."""
        self.clock = 0.0
        """The monotonic clock at the same time."""
        self.date = self.ok = b""
        self._look_at_clocks()

    def watch(self, fd: int, owner: Watched, events: int = READABLE) -> None:
        """Call `owner` when the socket is ready for these events, and for no others from now on; 0 is `forget`.

        A socket that is waited for in no way must not be watched: its end would be reported again and again.
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
        """Call nobody any more. To be said before the socket is closed: its number may be another's at once."""
        if self._watched.pop(fd, None) is not None:
            del self._events[fd]
            self._epoll.unregister(fd)

    def post(self, call: Callable[[], None]) -> None:
        """Have `call` called on the loop's thread. From any thread; nothing happens once the loop has ended."""
        with self._closing:
            if not self._closed:
                self._posted.append(call)
                os.eventfd_write(self._bell, 1)

    def on_tick(self, call: Callable[[], None]) -> None:
        """Have `call` called about five times a second."""
        self._every_tick.append(call)

    def end(self) -> None:
        """Return from `run` when everything that is ready was seen to."""
        self._ended = True

    def run(self) -> None:
        """Work until `end`."""
        watched, poll, ticked_at = self._watched, self._epoll.poll, 0.0
        while not self._ended:
            ready = poll(TICK_SECONDS)
            self._look_at_clocks()
            for fd, events in ready:
                owner = watched.get(fd)
                if owner is None:
                    if fd == self._bell:
                        self._call_posted()
                    continue
                try:
                    owner.ready(events)
                except Exception:  # noqa: BLE001 - one connection's trouble is not the others'
                    _log.exception("a connection failed")
                    self._try(owner.abort)
            if self.clock - ticked_at >= TICK_SECONDS:
                ticked_at = self.clock
                for call in self._every_tick:
                    self._try(call)

    def close(self) -> None:
        """Free what the loop itself holds. After `run` has returned."""
        with self._closing:  # who posts later must not write to whatever gets the number then
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
