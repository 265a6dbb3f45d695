"""Requests that the front passes on: bodies are collected first, and have deadlines."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from testing.waiting import wait_for
from tests.apps.front_support import Plane, Wire

from elastic_images.front.limits import Limits
from elastic_images.process.server import serving

HEAD = b"POST /form HTTP/1.1\r\nHost: x\r\n"
CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class Backend:
    """Counts the requests that reach it, and answers with the size of what it read, or before it has read."""

    def __init__(self) -> None:
        self.reached = 0
        self.inside = 0
        self.most_inside = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            self.reached += 1
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        try:
            refused = environ["PATH_INFO"] == "/refused"
            size = 0 if refused else sum(map(len, iter(lambda: environ["wsgi.input"].read(65_536), b"")))
            said = f"{size} {environ['REQUEST_METHOD']} {environ.get('HTTP_EXPECT')}".encode()
            start_response("403 Forbidden" if refused else "200 OK", [("Content-Length", str(len(said)))])
            return [said]
        finally:
            with self._lock:
                self.inside -= 1


@contextmanager
def front(backend: Backend, **limits: Any) -> Iterator[Callable[[], Wire]]:
    """A front with few threads behind it; makes connections to it, which are closed in the end."""
    with serving(backend, reads=Plane(), threads=2, limits=Limits(**limits)) as bound, ExitStack() as stack:
        backend.reached = 0  # it was asked whether it answers
        yield lambda: stack.enter_context(Wire(bound.port))


def ask(wire: Wire, size: int, path: str = "/form") -> tuple[int, bytes]:
    status, _, said = wire.get(path, method="POST", body=b"b" * size)
    return status, said


def test_slow_forms_take_no_thread() -> None:
    backend = Backend()
    with front(backend) as connect:
        for number in range(40):
            connect().send(HEAD + b"Content-Length: 100\r\n\r\n" + b"x" * number)
        wire = connect()
        for _ in range(3):
            assert ask(wire, 100) == (200, b"100 POST None")
        assert backend.reached == 3


def test_the_beginning_of_an_upload_takes_no_thread() -> None:
    backend = Backend()
    with front(backend) as connect:
        for _ in range(10):
            connect().send(HEAD + b"Content-Length: 10000000\r\n\r\n" + b"x" * 100_000)
        assert ask(connect(), 1_000_000) == (200, b"1000000 POST None")
        assert backend.reached == 1


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 262_143, 262_144, 262_145, 3_000_000])
def test_a_body_goes_through_in_whatever_pieces_it_comes(size: int) -> None:
    with front(Backend()) as connect:
        wire = connect()
        for step in (size + 1, 100_000, 262_144 - 50):
            whole = HEAD + b"Content-Length: %d\r\n\r\n" % size + b"b" * size
            for start in range(0, len(whole), step):
                wire.send(whole[start : start + step])
            assert wire.answer()[2] == b"%d POST None" % size


def test_requests_in_one_segment_are_answered_one_after_another() -> None:
    sizes = [3, 0, 70_000, 300_000, 5, 0]
    with front(Backend()) as connect:
        wire = connect()
        wire.send(b"".join(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"b" * size for size in sizes))
        assert [wire.answer()[2] for _ in sizes] == [b"%d POST None" % size for size in sizes]
        assert wire.get("/images/a")[2] == b"A" * 10
        assert ask(wire, 5) == (200, b"5 POST None")


def test_chunks_are_collected_and_passed_on_as_they_came() -> None:
    body = b"5\r\nhello\r\n" * 1000 + b"0\r\n\r\n"
    with front(Backend()) as connect:
        wire = connect()
        wire.send(CHUNKS + body + CHUNKS + body[:3])
        assert wire.answer()[2] == b"5000 POST None"
        wire.send(body[3:] + HEAD + b"\r\n")
        assert wire.answer()[2] == b"5000 POST None"
        assert wire.answer()[2] == b"0 POST None"


def test_many_chunks_need_a_length() -> None:
    backend = Backend()
    with front(backend) as connect:
        wire = connect()
        wire.send(CHUNKS + b"10000\r\n" + b"x" * 65_536)
        status, told, _ = wire.answer()
        assert (status, told["connection"]) == (411, "close")
        assert wire.at_end
        assert backend.reached == 0


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (CHUNKS + b"5;a=b\r\nhello\r\n0\r\n\r\n", 400),
        (b"\x16\x03\x01\x00\xa5\x01", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /x HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000, 431),
        (b"GET /images/a HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_cannot_be_framed_is_refused(sent: bytes, status: int) -> None:
    backend = Backend()
    with front(backend) as connect:
        wire = connect()
        wire.send(sent + b"GET /images/a HTTP/1.1\r\nHost: x\r\n\r\n")
        answered, told, body = wire.answer()
        assert (answered, told["content-type"], told["connection"]) == (status, "application/problem+json", "close")
        assert b'"detail"' in body
        assert wire.at_end
        assert backend.reached == 0


def test_a_put_that_is_too_large_is_refused_before_its_body_comes() -> None:
    with front(Backend(), put_bytes=100_000) as connect:
        wire = connect()
        wire.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n")
        assert wire.answer()[0] == 413
        assert wire.at_end
        assert ask(connect(), 300_000) == (200, b"300000 POST None")


def test_the_front_invites_a_body_that_waits_for_it() -> None:
    with front(Backend()) as connect:
        for size in (10, 300_000):
            wire = connect()
            wire.send(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % size)
            assert wire.read().status == 100
            wire.send(b"b" * size)
            assert wire.answer()[2] == b"%d POST None" % size
            wire.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi")
            assert wire.answer()[2] == b"2 POST None", "it came uninvited"


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /form HT",
        b"GET /images/a HTTP/1.1\r\nHost:",
        HEAD + b"Content-Length: 100\r\n\r\n" + b"x" * 99,
        CHUNKS + b"5\r\nhell",
        HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 99,
        HEAD + b"Content-Length: 10000000\r\n\r\n" + b"x" * 300_000,
    ],
    ids=["head", "head of a read", "form", "chunks", "upload", "upload that was passed on"],
)
def test_a_client_that_sends_nothing_more_is_refused(sent: bytes) -> None:
    backend = Backend()
    with front(backend, request_seconds=0.5, upload_seconds=0.5, upload_bytes_per_second=1e6) as connect:
        wire, kept = connect(), connect()
        assert kept.get("/images/a")[0] == 200
        wire.send(sent)
        status, told, body = wire.answer()
        assert (status, told["connection"]) == (408, "close")
        assert b"request-timeout" in body
        assert wire.at_end
        wait_for(lambda: backend.inside == 0, "its thread is free")
        assert kept.get("/images/a")[0] == 200, "who is idle is not late"


def test_an_upload_that_keeps_the_rate_may_take_its_time() -> None:
    with front(Backend(), request_seconds=0.3, upload_seconds=0.5, upload_bytes_per_second=100_000) as connect:
        wire = connect()
        wire.send(HEAD + b"Content-Length: 400000\r\n\r\n")
        pause = threading.Event()
        for _ in range(20):
            wire.send(b"x" * 20_000)
            pause.wait(0.1)
        assert wire.answer()[2] == b"400000 POST None"


def test_a_burst_buys_no_idleness() -> None:
    with front(Backend(), upload_seconds=0.5, upload_bytes_per_second=1) as connect:
        wire = connect()
        wire.send(HEAD + b"Content-Length: 2000000\r\n\r\n" + b"x" * 1_900_000)
        assert wire.answer()[0] == 408


def test_a_refusal_comes_before_the_body_has_ended() -> None:
    with front(Backend()) as connect:
        wire = connect()
        wire.send(b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 300_000)
        assert wire.answer()[0] == 403
        wire.send(b"x" * 2_700_000)
        # Granian may go on behind such a body, or close.
        if not wire.at_end:
            raise AssertionError("it was answered twice")


def test_a_client_that_leaves_in_the_middle_of_its_body_frees_the_thread() -> None:
    backend = Backend()
    with front(backend) as connect:
        wire = connect()
        wire.send(HEAD + b"Content-Length: 10000000\r\n\r\n" + b"x" * 300_000)
        wait_for(lambda: backend.inside == 1, "it was passed on")
        wire.reset()
        wait_for(lambda: backend.inside == 0, "its thread is free")


def test_what_is_held_of_bodies_is_bounded() -> None:
    with front(Backend(), input_bytes=500_000) as connect:
        slow = [connect() for _ in range(20)]
        for wire in slow:
            wire.send(HEAD + b"Content-Length: 60000\r\n\r\n" + b"x" * 50_000)
        other = connect()
        for _ in range(3):
            assert ask(other, 60_000) == (200, b"60000 POST None")
        left = 0
        for wire in slow:
            wire.send(b"x" * 10_000)
        for wire in slow:
            with_answer = _answered(wire)
            left += with_answer
        assert 5 <= left <= 12


def _answered(wire: Wire) -> bool:
    try:
        return wire.answer()[0] == 200
    except Exception:  # noqa: BLE001 - closed, in whatever way
        return False


def test_idle_connections_of_one_client_leave_room_for_others() -> None:
    few = Limits(connections=40, connections_of_a_client=10)
    with serving(Backend(), reads=Plane(), limits=few) as bound, ExitStack() as stack:
        kept = stack.enter_context(Wire(bound.port, "127.0.0.3"))
        assert kept.get("/images/a")[0] == 200
        crowd = [stack.enter_context(Wire(bound.port, "127.0.0.2")) for _ in range(100)]
        for _ in range(3):
            with Wire(bound.port, "127.0.0.4") as wire:
                assert wire.get("/images/a")[0] == 200
        wait_for(lambda: sum(_is_open(wire.socket) for wire in crowd) <= 20, "the crowd has to leave")
        assert sum(_is_open(wire.socket) for wire in crowd) >= 10
        assert kept.get("/images/a")[0] == 200


def _is_open(connection: socket.socket) -> bool:
    return not select.select([connection], [], [], 0)[0]  # nothing comes on it but its end


def test_a_reader_of_a_passed_on_answer_must_make_progress() -> None:
    def large(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "30000000")])
        return [b"z" * 30_000_000]

    with serving(large, reads=Plane(), limits=Limits(idle_seconds=1.0)) as bound, Wire(bound.port) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        wire.post("/large")
        wait_for(lambda: _is_reset(wire.socket), "it is cut off")


def _is_reset(client: socket.socket) -> bool:
    try:
        client.send(b"\r\n")
    except OSError:
        return True
    return False
