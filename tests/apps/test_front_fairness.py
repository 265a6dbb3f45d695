"""No client of the front takes more than its share: of turns, and of memory."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import pytest
from testing.waiting import wait_for
from tests.apps.front_support import WAIT_SECONDS, Plane, Wire
from tests.unit.pool.raw_server import RawServer, answer_always, ok, read_request

from elastic_images.front.backend_clients import BackendClients
from elastic_images.front.held import HeldAnswers
from elastic_images.front.limits import Limits
from elastic_images.front.listener import Front
from elastic_images.front.reads import Environ, WholeImage
from elastic_images.process.ports import bind

LARGE = 12_000_000


class Images(Plane):
    """Images of 12 MB by number, with ETags, in private copies as a relay makes them; remembers the order of reads."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def front_hit(self, name: str, environ: Environ, now: float) -> WholeImage | None:
        self.order.append(name)
        if not name.isdecimal():
            return super().front_hit(name, environ, now)
        return tagged(name), bytes(body(name))


def body(name: str) -> bytearray:
    return bytearray(name.encode() * (LARGE // len(name)))


@cache
def tagged(name: str) -> bytes:
    return b'Content-Length: %d\r\nETag: "%b"\r\n' % (len(body(name)), hashlib.sha256(body(name)).hexdigest().encode())


@contextmanager
def fronted(plane: Plane, backend_port: int = 1, **limits: Any) -> Iterator[tuple[Front, Callable[[], Wire]]]:
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    front = Front(
        listener,
        plane,
        backend_port,
        BackendClients(),
        threads=4,
        limits=Limits(**limits),
        is_exempt=lambda _address: False,
    )
    front.start()
    with ExitStack() as stack:

        def connect() -> Wire:
            wire = stack.enter_context(Wire(port))
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            return wire

        try:
            yield front, connect
        finally:
            front.drain()
            front.stop(0.1)


def held(front: Front) -> HeldAnswers:
    """What it holds, looked at between two events."""
    looked = threading.Event()
    front.loop.post(looked.set)
    assert looked.wait(WAIT_SECONDS)
    return front.held


@contextmanager
def stopped(front: Front) -> Iterator[None]:
    """Its loop stands still, so that what is sent meanwhile is there at once."""
    entered, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        assert go_on.wait(WAIT_SECONDS)

    front.loop.post(wait)
    assert entered.wait(WAIT_SECONDS)
    try:
        yield
    finally:
        go_on.set()


def test_a_client_that_sends_many_requests_ahead_delays_nobody() -> None:
    plane, many = Images(), 300
    with fronted(plane) as (front, connect):
        greedy, other = connect(), connect()
        for wire in (greedy, other):
            assert wire.get("/images/a")[0] == 200
        plane.order.clear()
        with stopped(front):
            greedy.send(b"GET /images/a HTTP/1.1\r\nHost: x\r\n\r\n" * many)
            other.post("/images/b")
        assert other.answer()[2] == b"B" * 20
        for _ in range(many):
            assert greedy.answer()[2] == b"A" * 10
        assert plane.order.index("b") <= 2 * front.limits.requests_in_a_turn
        assert len(plane.order) == many + 1


def test_slow_readers_of_one_image_share_a_copy() -> None:
    with fronted(Images()) as (front, connect):
        readers = [connect() for _ in range(10)]
        for wire in readers:
            wire.post("/images/7")
        wait_for(lambda: held(front).total_bytes > 0, "somebody has not taken it")
        assert held(front).total_bytes == LARGE
        for wire in readers:
            assert wire.answer()[2] == body("7")
        assert held(front).total_bytes == 0


def test_the_slowest_readers_are_cut_off_when_all_of_them_hold_too_much() -> None:
    with fronted(Images(), slow_bytes=4 * LARGE) as (front, connect):
        readers = [connect() for _ in range(9)]
        for number, wire in enumerate(readers):
            wire.post(f"/images/{number}")
        wait_for(lambda: held(front).cut_off >= 5, "some are cut off")
        assert held(front).total_bytes <= 4 * LARGE
        assert sum(_arrives(wire, body(str(number))) for number, wire in enumerate(readers)) == 4
        assert held(front).total_bytes == 0


def test_readers_of_our_own_are_never_cut_off() -> None:
    listener = bind("127.0.0.1", 0)
    front = Front(listener, Images(), 1, BackendClients(), threads=1, limits=Limits(slow_bytes=1))
    port = listener.getsockname()[1]
    front.start()
    with Wire(port) as one, Wire(port) as other:
        one.post("/images/1")
        other.post("/images/2")
        assert one.answer()[2] == body("1")
        assert other.answer()[2] == body("2")
    front.drain()
    assert front.stop(WAIT_SECONDS)


@pytest.mark.parametrize("arriving_bytes", [LARGE, 100 * LARGE])
def test_what_arrives_for_slow_readers_is_shared_and_bounded(arriving_bytes: int) -> None:
    plane, sent, lock = Images(), [0], threading.Lock()

    def script(connection: socket.socket, _number: int) -> None:
        while read_request(connection):
            reply = ok(bytes(body("5")), tagged("5").decode().split("\r\n")[1])
            try:
                connection.sendall(reply)
            except OSError:
                return
            with lock:
                sent[0] += 1

    with RawServer(script) as server, fronted(plane, arriving_bytes=arriving_bytes) as (front, connect):
        host, _, number = server.address.rpartition(":")
        plane.other = host, int(number)
        readers = [connect() for _ in range(12)]
        with stopped(front):
            for wire in readers:
                wire.post("/images/asked/5")
        for wire in readers:
            assert wire.answer()[2] == body("5")
        assert held(front).total_bytes == 0
        assert held(front).cut_off == 0


def test_what_the_backend_holds_for_slow_readers_counts() -> None:
    whole = bytes(2 * LARGE)
    with (
        RawServer(answer_always(ok(whole))) as backend,
        fronted(Images(), int(backend.address.rpartition(":")[2]), slow_bytes=3 * LARGE) as (front, connect),
    ):
        readers = [connect() for _ in range(3)]
        for wire in readers:
            wire.post("/large")
        wait_for(lambda: held(front).cut_off == 2, "the slowest are cut off")
        assert held(front).total_bytes <= 3 * LARGE
        assert sum(_arrives(wire, whole) for wire in readers) == 1
        assert held(front).total_bytes == 0


def _arrives(wire: Wire, expected: bytes | bytearray) -> bool:
    try:
        return wire.answer()[2] == expected
    except (AssertionError, OSError):
        return False
