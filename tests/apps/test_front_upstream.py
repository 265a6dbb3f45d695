"""What the front asks of other servers: whole replies are delivered, anything else is answered in another way."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.apps.front_support import WAIT_SECONDS, Asking, Plane, Wire, behind
from tests.unit.pool.raw_server import RawServer, Script, answer_always, ok, read_request

from elastic_images.front.buffers import Buffers
from elastic_images.front.reads import WholeImage
from elastic_images.process.server import serving

LARGE = bytes(range(256)) * 12_000
Other = Callable[[Script], RawServer]


@pytest.fixture
def plane() -> Plane:
    return Plane()


@pytest.fixture
def port(plane: Plane) -> Iterator[int]:
    with serving(behind, reads=plane) as bound:
        yield bound.port


@pytest.fixture
def other(plane: Plane) -> Iterator[Other]:
    with ExitStack() as stack:

        def made(script: Script) -> RawServer:
            server = stack.enter_context(RawServer(script))
            host, _, number = server.address.rpartition(":")
            plane.other = host, int(number)
            return server

        yield made


@pytest.mark.parametrize("body", [b"", b"x", b"y" * 16_384, LARGE], ids=len)
def test_a_whole_reply_is_delivered(body: bytes, port: int, other: Other) -> None:
    server = other(answer_always(ok(body)))
    with Wire(port) as wire:
        for _ in range(3):
            assert wire.get("/images/asked/1")[2] == body
        assert wire.get("/images/a")[2] == b"A" * 10
    assert server.connections == 1, "the connection is kept"


def test_an_answer_may_come_in_any_pieces(port: int, other: Other) -> None:
    whole = ok(b"body", "X-Cache: HIT")
    cuts = iter(range(1, len(whole)))

    def script(connection: socket.socket, _number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while read_request(connection):
            cut = next(cuts)
            connection.sendall(whole[:cut])
            connection.sendall(whole[cut:])

    other(script)
    with Wire(port) as wire:
        for _ in range(len(whole) - 1):
            assert wire.get("/images/asked/1")[2] == b"body"


def broken_off(connection: socket.socket, _number: int) -> None:
    read_request(connection)
    connection.sendall(ok(b"x" * 1000)[:500])


def closed(connection: socket.socket, _number: int) -> None:
    read_request(connection)


def too_much(connection: socket.socket, _number: int) -> None:
    read_request(connection)
    connection.sendall(ok(b"x") + b"more")


def silent(connection: socket.socket, _number: int) -> None:
    read_request(connection)
    connection.recv(1)


@pytest.mark.parametrize(
    "script",
    [
        broken_off,
        closed,
        too_much,
        silent,
        answer_always(ok(b"trouble", status="503 Service Unavailable")),
        answer_always(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        answer_always(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        answer_always(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n"),
        answer_always(b"nonsense\r\n\r\n"),
        answer_always(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"),
        answer_always(b"x" * 100_000),
    ],
    ids=lambda script: script.__name__,
)
def test_any_other_reply_costs_time_but_causes_no_error(script: Script, port: int, other: Other) -> None:
    other(script)
    with Wire(port) as wire:
        for _ in range(2):
            assert wire.get("/images/asked/1")[2] == b"bypassed"
        assert wire.get("/images/a")[2] == b"A" * 10


def test_a_read_is_answered_although_nothing_listens_upstream(plane: Plane, port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        plane.other = nobody.getsockname()
    with Wire(port) as wire:
        assert wire.get("/images/asked/1")[2] == b"bypassed"


def test_a_read_is_answered_although_no_descriptor_is_left(port: int) -> None:
    with Wire(port) as wire:
        assert wire.get("/images/a")[0] == 200
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # further ones: those that are open stay so
        try:
            assert wire.get("/images/asked/1")[2] == b"bypassed"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_connection_that_was_closed_while_idle_is_replaced(port: int, other: Other) -> None:
    def once(connection: socket.socket, _number: int) -> None:
        read_request(connection)
        connection.sendall(ok(b"once"))

    server = other(once)
    with Wire(port) as wire:
        for _ in range(20):
            assert wire.get("/images/asked/1")[2] == b"once"
    assert server.connections == 20


def test_a_connection_that_the_server_wants_closed_is_not_used_again(port: int, other: Other) -> None:
    server = other(answer_always(ok(b"bye", "Connection: close")))
    with Wire(port) as wire:
        assert [wire.get("/images/asked/1")[2] for _ in range(3)] == [b"bye"] * 3
    assert server.connections == 3


def test_a_hung_upstream_delays_no_other_client(port: int, other: Other) -> None:
    other(silent)
    with Wire(port) as asking, Wire(port) as wire:
        asking.post("/images/asked/1")
        assert wire.get("/images/a")[0] == 200
        assert asking.answer()[2] == b"bypassed"


def test_requests_wait_for_a_connection(port: int, other: Other) -> None:
    gate = threading.Event()

    def script(connection: socket.socket, _number: int) -> None:
        while read_request(connection):
            assert gate.wait(WAIT_SECONDS)
            connection.sendall(ok(b"at last"))

    server = other(script)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(port)) for _ in range(100)]
        for wire in wires:
            wire.post("/images/asked/1")
        gate.set()
        assert [wire.answer()[2] for wire in wires] == [b"at last"] * 100
    assert server.connections <= 64


def test_a_client_that_leaves_while_waiting_affects_no_other(port: int, other: Other) -> None:
    asked, gate = threading.Semaphore(0), threading.Event()

    def script(connection: socket.socket, _number: int) -> None:
        while read_request(connection):
            asked.release()
            assert gate.wait(WAIT_SECONDS)
            connection.sendall(ok(LARGE))

    other(script)
    for _ in range(4):
        with Wire(port) as wire:
            wire.post("/images/asked/1")
            assert asked.acquire(timeout=WAIT_SECONDS)
    gate.set()
    with Wire(port) as wire:
        assert wire.get("/images/asked/1")[2] == LARGE


def test_memory_for_bodies_is_used_again_and_bounded() -> None:
    buffers = Buffers(kept_bytes=3_000_000)
    one = buffers.acquire(1_000_000)
    assert len(one) == 1_000_000
    buffers.release(one)
    assert buffers.acquire(900_000).obj is one.obj
    assert buffers.acquire(900_000).obj is not one.obj
    many = [buffers.acquire(1_000_000) for _ in range(8)]
    for view in many:
        buffers.release(view)
    taken = [buffers.acquire(1_000_000).obj for _ in range(8)]
    assert sum(any(buffer is view.obj for view in many) for buffer in taken) == 2


def test_a_connection_is_closed_if_its_answer_cannot_be_sent(
    port: int, other: Other, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_asking: Asking, _head: object, _body: memoryview) -> WholeImage:
        raise ValueError("odd")

    server = other(answer_always(ok(b"body")))
    monkeypatch.setattr(Asking, "on_reply", fails)
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as client:
        client.sendall(b"GET /images/asked/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1) == b""
    monkeypatch.undo()
    assert "could not be sent" in caplog.text
    with Wire(port) as wire:
        assert wire.get("/images/asked/1")[2] == b"body"
    assert server.connections == 1, "the other server did nothing wrong"
