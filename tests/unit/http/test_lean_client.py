from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.pool.raw_server import RawServer, Script, answer_always, ok, read_request

from elastic_images.core.errors import Unavailable
from elastic_images.http.lean_client import LeanAnswer, LeanClient, _host_and_port


@pytest.fixture
def client() -> Iterator[LeanClient]:
    """With timeouts longer than any test."""
    made = LeanClient("secret", answer_seconds=60.0, connect_seconds=60.0)
    yield made
    made.close()


@pytest.fixture
def hasty() -> Iterator[LeanClient]:
    """With short timeouts."""
    made = LeanClient("secret", answer_seconds=0.3)
    yield made
    made.close()


def get(client: LeanClient, server: RawServer, *, head: bool = False) -> LeanAnswer:
    return client.get(server.address, "/images/k", {}, head=head)


def test_the_request_is_http_with_the_token_and_the_headers(client: LeanClient) -> None:
    requests: list[bytes] = []

    def script(connection: socket.socket, _number: int) -> None:
        requests.append(read_request(connection))
        connection.sendall(ok(b"bytes", 'ETag: "e"', "X-Cache:HIT"))

    with RawServer(script) as server:
        answer = client.get(server.address, "/images/a%20b", {"X-Incarnation": "1234"})
    assert answer == (200, {"content-length": "5", "etag": '"e"', "x-cache": "HIT"}, b"bytes")
    assert requests[0].split(b"\r\n") == [
        b"GET /images/a%20b HTTP/1.1",
        f"Host: {server.address}".encode(),
        b"Authorization: Bearer secret",
        b"X-Elastic-Images-Protocol: 3",
        b"X-Incarnation: 1234",
        b"",
        b"",
    ]


def test_connections_are_kept_alive(client: LeanClient) -> None:
    with RawServer(answer_always(ok(b"bytes"))) as server:
        assert [get(client, server).body for _ in range(5)] == [b"bytes"] * 5
        assert server.connections == 1


def test_a_connection_that_the_node_will_close_is_not_kept(client: LeanClient) -> None:
    with RawServer(answer_always(ok(b"bytes", "Connection: close"))) as server:
        assert [get(client, server).body for _ in range(3)] == [b"bytes"] * 3
        assert server.connections == 3


def test_a_connection_that_was_closed_while_idle_is_replaced(client: LeanClient) -> None:
    closed = threading.Event()

    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(ok(str(number).encode()))
        if number == 0:
            connection.close()
            closed.set()
        else:
            read_request(connection)

    with RawServer(script) as server:
        assert get(client, server).body == b"0"
        assert closed.wait(60)
        assert get(client, server).body == b"1"


def test_a_node_that_is_gone_is_unavailable_also_on_a_kept_connection(client: LeanClient) -> None:
    with RawServer(answer_always(ok(b"bytes"))) as server:
        assert get(client, server).status == 200
    with pytest.raises(Unavailable, match="cannot be reached"):
        get(client, server)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "", "nowhere", "127.0.0.1:x", "127.0.0.1:99999"])
def test_an_address_where_nothing_listens_is_unavailable(client: LeanClient, address: str) -> None:
    with pytest.raises(Unavailable):
        client.get(address, "/images/k", {})


def test_a_body_of_many_segments_is_read_whole(client: LeanClient) -> None:
    body = bytes(range(256)) * 40_000
    with RawServer(answer_always(ok(body))) as server:
        assert get(client, server).body == body
        assert get(client, server).body == body
        assert server.connections == 1


def test_an_answer_in_pieces_is_read_whole(client: LeanClient) -> None:
    def script(connection: socket.socket, _number: int) -> None:
        read_request(connection)
        answer = ok(b"0123456789")
        for start in range(0, len(answer), 7):
            connection.sendall(answer[start : start + 7])
            threading.Event().wait(0.001)

    with RawServer(script) as server:
        assert get(client, server).body == b"0123456789"


@pytest.mark.parametrize("head", [ok(b"", status="204 No Content"), b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"])
def test_answers_without_a_body_leave_the_connection_usable(client: LeanClient, head: bytes) -> None:
    with RawServer(answer_always(head)) as server:
        assert [get(client, server).body for _ in range(2)] == [b"", b""]
        assert server.connections == 1


def test_the_answer_to_head_has_a_length_and_no_body(client: LeanClient) -> None:
    with RawServer(answer_always(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")) as server:
        assert [get(client, server, head=True) for _ in range(2)] == [(200, {"content-length": "1000"}, b"")] * 2
        assert server.connections == 1


BROKEN = {
    "cut off in the head": b"HTTP/1.1 200 OK\r\nConte",
    "cut off in the body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "more bytes than announced": ok(b"hello") + b"HTTP/1.1",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
    "a length beyond all bounds": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nx",
    "a length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx",
    "no status": b"HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
    "an old version": b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_is_unavailable_and_its_connection_not_used_again(client: LeanClient, answer: bytes) -> None:
    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(answer if number == 0 else ok(b"fine"))

    with RawServer(script) as server:
        with pytest.raises(Unavailable):
            get(client, server)
        assert get(client, server).body == b"fine"


def hangs_before_the_head(connection: socket.socket, _number: int) -> None:
    read_request(connection)
    read_request(connection)


def hangs_in_the_body(connection: socket.socket, _number: int) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    read_request(connection)


def sends_drops(connection: socket.socket, _number: int) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        threading.Event().wait(0.05)


@pytest.mark.parametrize("script", [hangs_before_the_head, hangs_in_the_body, sends_drops])
def test_a_node_that_takes_too_long_is_unavailable(hasty: LeanClient, script: Script) -> None:
    with RawServer(script) as server, pytest.raises(Unavailable):
        get(hasty, server)


def test_a_long_answer_may_take_longer_than_a_wait_for_its_next_bytes() -> None:
    def script(connection: socket.socket, _number: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            threading.Event().wait(0.2)
            connection.sendall(b"x")

    patient = LeanClient(None, answer_seconds=1.5, whole_seconds=60.0)
    with RawServer(script) as server:
        assert get(patient, server).body == b"x" * 10
    patient.close()


def test_an_answer_in_small_pieces_is_given_up_at_its_deadline() -> None:
    client = LeanClient(None, answer_seconds=0.2, whole_seconds=0.5)
    with RawServer(sends_drops) as server, pytest.raises(Unavailable):
        get(client, server)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("storage:5001", ("storage", 5001)),
        ("storage", ("storage", 80)),
        ("[::1]:5001", ("::1", 5001)),
        ("[::1]", ("::1", 80)),
    ],
)
def test_addresses(address: str, place: tuple[str, int]) -> None:
    assert _host_and_port(address) == place


def test_a_node_that_accepts_nothing_is_unavailable(hasty: LeanClient) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = f"127.0.0.1:{full.getsockname()[1]}"
        queue = [socket.socket() for _ in range(4)]
        for waiting in queue:
            waiting.settimeout(0)
            waiting.connect_ex(("127.0.0.1", full.getsockname()[1]))
        with pytest.raises(Unavailable):
            hasty.get(address, "/images/k", {})
        for waiting in queue:
            waiting.close()


def test_many_threads_share_the_client(client: LeanClient) -> None:
    def script(connection: socket.socket, _number: int) -> None:
        while request := read_request(connection):
            connection.sendall(ok(request.split(b" ")[1]))

    with RawServer(script) as server, ThreadPoolExecutor(16) as threads:
        paths = [f"/images/{number}" for number in range(400)]
        answers = list(threads.map(lambda path: client.get(server.address, path, {}).body.decode(), paths))
        assert answers == paths
        assert server.connections <= 16
    client.close()


def test_few_large_answers_are_received_at_a_time(client: LeanClient) -> None:
    half, go_on = threading.Semaphore(0), threading.Event()
    large = ok(b"x" * 5_000_000)

    def script(connection: socket.socket, _number: int) -> None:
        read_request(connection)
        connection.sendall(large[:100])
        half.release()
        assert go_on.wait(60)
        connection.sendall(large[100:])

    with RawServer(script) as server, ThreadPoolExecutor(6) as readers:
        answers = [readers.submit(get, client, server) for _ in range(6)]
        for _ in answers:
            assert half.acquire(timeout=60)
        with RawServer(answer_always(ok(b"small"))) as other:
            assert get(client, other).body == b"small", "small ones do not wait"
        assert not client._large.acquire(blocking=False)
        go_on.set()
        assert {len(answer.result().body) for answer in answers} == {5_000_000}
