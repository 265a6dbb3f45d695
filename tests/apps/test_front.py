"""The front on real sockets: what it answers, what it passes on, and how connections end."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from testing.waiting import wait_for
from tests.apps.front_support import WAIT_SECONDS, Plane, Wire, behind
from tests.unit.pool.raw_server import RawServer, ok

from elastic_images.front.backend_clients import BackendClients
from elastic_images.front.connection import Connection
from elastic_images.front.event_loop import EventLoop
from elastic_images.front.limits import Limits
from elastic_images.front.listener import Front
from elastic_images.process.ports import bind
from elastic_images.process.server import serving

GET = b"GET /images/%b HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def plane() -> Iterator[Plane]:
    made = Plane()
    yield made
    made.gate.set()


@pytest.fixture
def port(plane: Plane) -> Iterator[int]:
    with serving(behind, reads=plane) as bound:
        yield bound.port
        plane.gate.set()


def test_hits_are_answered_one_after_another(port: int) -> None:
    with Wire(port) as wire:
        for name in ["a", "b", "a", "a", "b"]:
            status, told, body = wire.get(f"/images/{name}")
            assert (status, body) == (200, name.upper().encode() * len(body))
            assert told["x-cache"] == "HIT"
            assert told["date"].endswith("GMT")


def test_the_backend_answers_everything_but_reads_of_images(port: int) -> None:
    with Wire(port) as wire:
        assert wire.get("/images/a")[2] == b"A" * 10
        assert wire.get("/other", method="POST", body=b"12345")[2] == b"POST /other 5 127.0.0.1"
        assert wire.get("/images/a")[2] == b"A" * 10


def test_the_backend_knows_the_client(port: int) -> None:
    with Wire(port, "127.0.0.2") as one, Wire(port, "127.0.0.3") as other:
        for _ in range(2):
            assert one.get("/who")[2] == b"GET /who 0 127.0.0.2"
            assert other.get("/who")[2] == b"GET /who 0 127.0.0.3"


def test_a_read_on_a_thread_knows_the_client(plane: Plane, port: int) -> None:
    plane.gate.set()
    with Wire(port, "127.0.0.9") as wire:
        assert wire.get("/images/slow/1")[2] == b"found /images/slow/1 for 127.0.0.9"


def test_the_backend_refuses_direct_connections() -> None:
    app = BackendClients().in_front_of(behind)
    with serving(app) as bound, Wire(bound.port) as wire:
        assert wire.get("/who")[0] == 403


def test_requests_in_one_segment_are_answered_in_their_order(plane: Plane, port: int) -> None:
    plane.gate.set()
    names = [b"a", b"slow/1", b"b", b"big", b"a", b"slow/2"]
    with Wire(port) as wire:
        wire.send(b"".join(GET % name for name in names) + b"GET /last HTTP/1.1\r\nHost: x\r\n\r\n")
        for name in names:
            body = wire.answer()[2]
            assert body == plane.images.get(name.decode(), b"found /images/%b for 127.0.0.1" % name)
        assert wire.answer()[2] == b"GET /last 0 127.0.0.1"


def test_a_request_may_come_in_any_pieces(port: int) -> None:
    whole = b"GET /images/a HTTP/1.1\r\nHost: x\r\n\r\nGET /images/b HTTP/1.1\r\nHost: x\r\n\r\n"
    with Wire(port) as wire:
        for cut in range(1, len(whole)):
            wire.send(whole[:cut])
            wire.send(whole[cut:])
            assert [wire.answer()[2][:1], wire.answer()[2][:1]] == [b"A", b"B"]


def test_hits_are_answered_while_reads_wait(plane: Plane, port: int) -> None:
    with ExitStack() as stack:
        waiting = [stack.enter_context(Wire(port)) for _ in range(16)]
        for number, wire in enumerate(waiting):
            wire.post(f"/images/slow/{number}")
        for _ in waiting:
            assert plane.waiting.acquire(timeout=WAIT_SECONDS)
        with Wire(port) as wire:
            assert wire.get("/images/a")[0] == 200
        plane.gate.set()
        for number, wire in enumerate(waiting):
            assert wire.answer()[2] == f"found /images/slow/{number} for 127.0.0.1".encode()


def test_head_and_conditions_are_answered_from_memory(port: int) -> None:
    with Wire(port) as wire:
        assert wire.get("/images/b", method="HEAD")[1]["content-length"] == "20"
        assert wire.get("/images/b", "Range: bytes=0-1")[0] == 206
        assert wire.get("/images/nix", "Range: bytes=0-1")[2] == b"found /images/nix for 127.0.0.1"
        assert wire.get("/images/nix", method="HEAD")[2] == b""
        assert wire.get("/images/a")[2] == b"A" * 10


def test_a_read_may_turn_out_to_be_the_backends(plane: Plane, port: int) -> None:
    plane.gate.set()
    with Wire(port) as wire:
        for target in ("/images/login/1", "/images/login%2F2?a=b"):
            for fields in ((), ("Range: bytes=0-1",), ("Authorization: Bearer x",)):
                assert wire.get(target, *fields)[2].startswith(b"GET /images/login/")
        assert wire.get("/images/login/1", method="HEAD")[0] == 200
        wire.send(b"".join(GET % name for name in [b"a", b"login/3", b"slow/1", b"login/4", b"b"]))
        bodies = [wire.answer()[2] for _ in range(5)]
    assert bodies[0] + bodies[4] == b"A" * 10 + b"B" * 20
    assert [body.split()[1] for body in (bodies[1], bodies[3])] == [b"/images/login/3", b"/images/login/4"]


def test_connection_close_is_obeyed(plane: Plane, port: int) -> None:
    plane.gate.set()
    for name in ["a", "slow/1", "big"]:
        with Wire(port) as wire:
            _, told, body = wire.get(f"/images/{name}", "Connection: close")
            assert told["connection"] == "close"
            assert len(body) == int(told["content-length"])
            assert wire.at_end


def test_a_client_that_sends_more_after_its_last_request_gets_the_whole_answer(plane: Plane, port: int) -> None:
    with Wire(port) as wire:
        wire.post("/images/big", "Connection: close")
        wire.send((GET % b"a") * 1000)
        assert wire.answer()[2] == plane.images["big"]
        assert wire.at_end


def test_a_failure_is_logged_and_not_shown(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), Wire(port) as wire:
        status, told, body = wire.get("/images/broken")
        assert (status, told["content-type"]) == (500, "application/problem+json")
        assert b"HIDDEN" not in body
        assert "ei_HIDDEN0123456789" in caplog.text
        assert wire.get("/images/a")[0] == 200


def test_a_slow_reader_gets_the_whole(plane: Plane, port: int) -> None:
    with Wire(port) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        for _ in range(3):
            wire.post("/images/big")
        for _ in range(3):
            assert wire.answer()[2] == plane.images["big"]


def test_a_slow_reader_of_the_backend_gets_the_whole(port: int) -> None:
    with Wire(port) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        assert wire.get("/big")[2] == b"z" * 8_000_000


def test_a_large_body_goes_through(port: int) -> None:
    with Wire(port) as wire:
        assert wire.get("/up", method="PUT", body=b"u" * 5_000_000)[2] == b"PUT /up 5000000 127.0.0.1"


def test_a_client_that_shuts_its_side_still_gets_its_answers(plane: Plane, port: int) -> None:
    with Wire(port) as wire:
        wire.send(GET % b"slow/1" + GET % b"a")
        assert plane.waiting.acquire(timeout=WAIT_SECONDS)
        wire.socket.shutdown(socket.SHUT_WR)
        plane.gate.set()
        assert wire.answer()[2].startswith(b"found")
        assert wire.answer()[2] == b"A" * 10
        assert wire.at_end


def test_waiting_after_a_large_answer_does_not_spin(plane: Plane, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with Wire(port) as wire, Wire(port) as other:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.send(GET % b"big" + GET % b"slow/1")
        assert wire.answer()[2] == plane.images["big"]
        assert plane.waiting.acquire(timeout=WAIT_SECONDS)
        assert other.get("/images/a")[0] == 200
        woken: list[Connection] = []
        ready = Connection.ready

        def counted(client: Connection, events: int) -> None:
            woken.append(client)
            ready(client, events)

        monkeypatch.setattr(Connection, "ready", counted)
        for _ in range(5):
            assert other.get("/images/a")[0] == 200
        assert len(woken) == 5
        plane.gate.set()
        assert wire.answer()[2].startswith(b"found")


def test_requests_sent_ahead_are_answered_in_the_end(plane: Plane, port: int) -> None:
    many = 4000
    with Wire(port) as wire:
        wire.post("/images/slow/1")
        assert plane.waiting.acquire(timeout=WAIT_SECONDS)
        sender = threading.Thread(target=wire.send, args=((GET % b"a") * many,))
        sender.start()
        plane.gate.set()
        assert wire.answer()[2].startswith(b"found")
        assert all(wire.answer()[2] == b"A" * 10 for _ in range(many))
        sender.join()
        assert wire.get("/images/b")[2] == b"B" * 20


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_clients_that_go_away_leave_nothing_behind(plane: Plane, port: int) -> None:
    with Wire(port) as wire:
        assert wire.get("/images/a")[0] == 200
    before = open_files()
    asks = [b"", b"GET /ima", GET % b"a", GET % b"big" * 3, GET % b"slow/1", b"GET /x HTTP/1.1\r\nHo"]
    for number in range(60):
        wire = Wire(port)
        for ask in asks[: number % 7]:
            wire.send(ask)
        if number % 2:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wire.__exit__()
    plane.gate.set()
    wait_for(lambda: open_files() <= before, what="every connection to be closed")


def test_idle_and_unfinished_connections_are_closed(plane: Plane) -> None:
    with serving(behind, reads=plane, limits=Limits(idle_seconds=1.0, request_seconds=1.0)) as bound:
        with Wire(bound.port) as wire:
            assert wire.get("/images/a")[0] == 200
            assert wire.at_end
        with Wire(bound.port) as wire:
            wire.send(b"GET /images/a HTTP/1.1\r\nHost:")
            assert wire.answer()[0] == 408
            assert wire.at_end
        with Wire(bound.port) as wire:
            wire.post("/images/slow/1")
            assert plane.waiting.acquire(timeout=WAIT_SECONDS)
            threading.Timer(2.0, plane.gate.set).start()
            assert wire.answer()[0] == 200, "a client that waits for an answer is not idle"


def test_draining_finishes_the_requests_under_way(plane: Plane) -> None:
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    front = Front(listener, plane, 1, BackendClients(), threads=4)
    front.start()
    with Wire(port) as idle, Wire(port) as unfinished, Wire(port) as busy, Wire(port) as reading:
        unfinished.send(b"GET /images/a HTTP/1.1\r\nHo")
        assert idle.get("/images/a")[0] == 200
        reading.post("/images/big")
        busy.post("/images/slow/1")
        assert plane.waiting.acquire(timeout=WAIT_SECONDS)
        front.drain()
        assert idle.at_end
        with pytest.raises(OSError, match="refused"):
            Wire(port)
        assert reading.answer()[2] == plane.images["big"]
        plane.gate.set()
        assert busy.answer()[2].startswith(b"found")
        assert busy.at_end
        assert unfinished.at_end
        assert front.stop(WAIT_SECONDS)
    assert not front.alive


def test_a_replaced_front_answers_once_more_on_each_connection(plane: Plane) -> None:
    listener = bind("127.0.0.1", 0)
    with listener.dup() as kept:  # the supervisor's
        port = listener.getsockname()[1]
        front = Front(listener, plane, 1, BackendClients(), threads=4)
        front.start()
        with Wire(port) as idle, Wire(port) as used, Wire(port) as busy:
            assert idle.get("/images/a")[0] == used.get("/images/a")[0] == 200
            busy.post("/images/slow/1")
            assert plane.waiting.acquire(timeout=WAIT_SECONDS)
            front.quit_accepting()
            with Wire(port) as waiting:
                waiting.post("/images/a")
                kept.settimeout(WAIT_SECONDS)
                kept.accept()[0].close()  # it is left to the successor
            status, headers, _ = used.get("/images/a")
            assert (status, headers["connection"]) == (200, "close")
            assert used.at_end
            plane.gate.set()
            assert busy.answer()[2].startswith(b"found")
            assert busy.get("/images/a")[1]["connection"] == "close"
            assert not front.drained
            front.drain()
            assert idle.at_end
            assert front.stop(WAIT_SECONDS)


def test_an_answer_that_began_before_a_replacement_does_not_end_its_connection(plane: Plane) -> None:
    begun, replaced = threading.Event(), threading.Event()

    def answering(environ: dict[str, str], start_response: Callable[..., object]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "10")])
        yield b"12345"
        if environ["PATH_INFO"] == "/api":
            begun.set()
            assert replaced.wait(WAIT_SECONDS)
        yield b"67890"

    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with serving(answering) as backend:
        front = Front(listener, plane, backend.port, BackendClients(), threads=4)
        front.start()
        with Wire(port) as used:
            used.post("/api")
            assert begun.wait(WAIT_SECONDS)
            front.quit_accepting()
            wait_for(lambda: front.draining, "it accepts nothing more")
            replaced.set()
            assert used.answer()[2] == b"1234567890"
            status, headers, _ = used.get("/images/a")
            assert (status, headers["connection"]) == (200, "close"), "the client was not told before"
        front.drain()
        assert front.stop(WAIT_SECONDS)


def test_requests_longer_than_the_grace_are_cut_off(plane: Plane) -> None:
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    front = Front(listener, plane, 1, BackendClients(), threads=4)
    front.start()
    with Wire(port) as busy:
        busy.post("/images/slow/1")
        assert plane.waiting.acquire(timeout=WAIT_SECONDS)
        front.drain()
        assert not front.stop(0.1)
        assert busy.at_end
    plane.gate.set()


def test_on_exit_is_called_when_the_thread_has_ended(plane: Plane) -> None:
    ended = threading.Event()
    front = Front(bind("127.0.0.1", 0), plane, 1, BackendClients(), threads=4, on_exit=ended.set)
    front.loop.end()
    front.start()
    assert ended.wait(WAIT_SECONDS)
    front.stop(0)
    assert not front.alive


def test_calls_posted_after_the_end_are_dropped() -> None:
    loop = EventLoop()
    loop.close()
    reader, writer = os.pipe()  # as may get the numbers that the loop had
    os.set_blocking(reader, False)
    loop.post(lambda: None)
    with pytest.raises(BlockingIOError):
        os.read(reader, 8)
    os.close(reader)
    os.close(writer)


def test_a_refusal_arrives_although_the_backend_stopped_reading(plane: Plane) -> None:
    arrived, refuse, closed, entered, go_on = (threading.Event() for _ in range(5))

    def script(connection: socket.socket, _number: int) -> None:
        connection.recv(10)
        arrived.set()
        assert refuse.wait(WAIT_SECONDS)
        connection.sendall(ok(b"no", status="413 Content Too Large"))
        connection.close()  # over bytes that were not read: a reset
        closed.set()

    def held() -> None:
        entered.set()
        assert go_on.wait(WAIT_SECONDS)

    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with RawServer(script) as server:
        front = Front(listener, plane, int(server.address.rpartition(":")[2]), BackendClients(), threads=4)
        front.start()
        with Wire(port) as wire:
            wire.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"u" * 300_000)
            assert arrived.wait(WAIT_SECONDS)
            front.loop.post(held)
            assert entered.wait(WAIT_SECONDS)
            wire.send(b"u" * 1000)
            refuse.set()
            assert closed.wait(WAIT_SECONDS)
            go_on.set()
            assert wire.answer()[2] == b"no"
        front.drain()
        assert front.stop(WAIT_SECONDS)


def test_without_a_backend_the_connection_is_closed(plane: Plane) -> None:
    with bind("127.0.0.1", 0) as taken:
        nobody = taken.getsockname()[1]
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    front = Front(listener, plane, nobody, BackendClients(), threads=4)
    front.start()
    with Wire(port) as wire:
        wire.post("/other")
        assert wire.at_end
    with Wire(port) as wire:
        assert wire.get("/images/a")[0] == 200
    front.drain()
    assert front.stop(WAIT_SECONDS)
