"""The loop survives whatever its calls do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from elastic_images.front.event_loop import EventLoop

WAIT_SECONDS = 60.0


class Broken:
    """Fails at everything."""

    def __init__(self) -> None:
        self.aborted = threading.Event()

    def ready(self, events: int) -> None:
        raise ValueError(events)

    def abort(self) -> None:
        self.aborted.set()
        raise ValueError("and again")


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    made = EventLoop()
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.post(made.end)
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    made.close()


def still_works(loop: EventLoop) -> bool:
    called = threading.Event()
    loop.post(called.set)
    return called.wait(WAIT_SECONDS)


def test_an_owner_that_fails_and_fails_to_close_affects_no_other(loop: EventLoop) -> None:
    broken = Broken()
    one, other = socket.socketpair()
    with one, other:
        loop.post(partial(loop.watch, one.fileno(), broken))
        other.send(b"x")
        assert broken.aborted.wait(WAIT_SECONDS)
        loop.post(partial(loop.forget, one.fileno()))
        assert still_works(loop)


def test_a_tick_that_fails_is_called_again(loop: EventLoop) -> None:
    calls = threading.Semaphore(0)

    def call() -> None:
        calls.release()
        raise ValueError

    loop.post(partial(loop.on_tick, call))
    assert calls.acquire(timeout=WAIT_SECONDS)
    assert calls.acquire(timeout=WAIT_SECONDS)


def test_a_socket_that_cannot_be_watched_is_not_kept(loop: EventLoop) -> None:
    forgotten = threading.Event()

    def watch_nothing() -> None:
        with socket.socket() as closed:
            number = closed.fileno()
        with pytest.raises(OSError, match="Bad file descriptor"):
            loop.watch(number, Broken())
        loop.forget(number)
        forgotten.set()

    loop.post(watch_nothing)
    assert forgotten.wait(WAIT_SECONDS)
