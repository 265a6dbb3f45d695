"""Calls between our processes, against a server that sends exactly what a test says."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.pool.raw_server import RawServer, answer_always, ok, read_request

from elastic_images.core import errors
from elastic_images.core.errors import ElasticImagesError, NotFound, Unavailable
from elastic_images.http.dead_peers import dead_peer_options
from elastic_images.http.internal_client import (
    GONE_SECONDS,
    InternalClient,
    NoAnswer,
    decoded,
)
from elastic_images.http.lean_client import NotConnected
from elastic_images.http.problems import problem_document

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, ElasticImagesError) and "slug" in vars(kind)
]


@pytest.fixture
def client() -> Iterator[InternalClient]:
    made = InternalClient("secret")
    yield made
    made.close()


def test_a_call_carries_the_token_and_json(client: InternalClient) -> None:
    requests: list[bytes] = []

    def script(connection: socket.socket, _number: int) -> None:
        requests.append(read_request(connection))
        connection.sendall(ok(b'{"a": 1}'))

    with RawServer(script) as server:
        assert client.post_json(f"http://{server.address}/x", {"b": 2}) == {"a": 1}
    head = requests[0].lower()
    assert head.startswith(b"post /x http/1.1\r\n")
    assert b"authorization: bearer secret\r\n" in head
    assert b"content-type: application/json\r\n" in head


def test_connections_are_kept_and_replaced_when_they_were_closed(client: InternalClient) -> None:
    closed = threading.Event()

    def script(connection: socket.socket, number: int) -> None:
        for _ in range(2):
            read_request(connection)
            connection.sendall(ok(str(number).encode()))
        if number == 0:
            connection.close()
            closed.set()

    with RawServer(script) as server:
        url = f"http://{server.address}/"
        assert [client.get_json(url), client.get_json(url)] == [0, 0]
        assert closed.wait(60)
        assert client.get_json(url) == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_wire(client: InternalClient, kind: type[ElasticImagesError]) -> None:
    body = json.dumps(problem_document(kind("what is wrong"))).encode()
    answer = ok(body, "Retry-After: 7", status=f"{kind.status} CloudWatchError")
    with RawServer(answer_always(answer)) as server, pytest.raises(kind) as caught:
        client.request("GET", f"http://{server.address}/")
    assert type(caught.value) is kind
    assert str(caught.value) == "what is wrong"
    assert caught.value.retry_after_seconds == 7


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_fetch_raises_what_a_request_raises(client: InternalClient, kind: type[ElasticImagesError]) -> None:
    body = json.dumps(problem_document(kind("what is wrong"))).encode()
    answer = ok(body, "Retry-After: 7", status=f"{kind.status} CloudWatchError")
    with RawServer(answer_always(answer)) as server, pytest.raises(kind) as caught:
        client.fetch(f"http://{server.address}/")
    assert type(caught.value) is kind
    assert (str(caught.value), caught.value.retry_after_seconds) == ("what is wrong", 7)


def test_a_fetch_carries_the_token_and_gives_the_whole_answer(client: InternalClient) -> None:
    requests: list[bytes] = []

    def script(connection: socket.socket, _number: int) -> None:
        while request := read_request(connection):
            requests.append(request)
            connection.sendall(ok(b"bytes", "X-Image-Version: 3"))

    with RawServer(script) as server:
        for _ in range(2):
            answer = client.fetch(f"http://{server.address}/internal/images/a%20b?rendition=small")
            assert (answer.status, answer.headers["x-image-version"], answer.body) == (200, "3", b"bytes")
        assert server.connections == 1
    assert requests[0].startswith(b"GET /internal/images/a%20b?rendition=small HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in requests[0]


@pytest.mark.parametrize("answer", [ok(b"no document", status="500 Oops"), b"", b"SSH-2.0\r\n\r\n"])
def test_fetching_something_that_is_not_our_answer_is_unavailable(client: InternalClient, answer: bytes) -> None:
    with RawServer(answer_always(answer)) as server, pytest.raises(Unavailable):
        client.fetch(f"http://{server.address}/", timeout_seconds=60.0)


def test_members_are_notified_in_json_on_one_connection(client: InternalClient) -> None:
    requests: list[bytes] = []

    def script(connection: socket.socket, _number: int) -> None:
        while request := read_request(connection):
            requests.append(request)
            connection.sendall(ok(b'{"dropped": 1}'))

    with RawServer(script) as server:
        for key in ("a", "ä"):
            client.notify(server.address, "/invalidate", {"keys": [key]}, timeout_seconds=60.0)
        assert server.connections == 1
    assert requests[0].startswith(b"POST /invalidate HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in requests[0]
    assert b"\r\nContent-Type: application/json\r\nContent-Length: 15\r\n" in requests[0]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_notified_member_may_refuse(client: InternalClient, kind: type[ElasticImagesError]) -> None:
    answer = ok(json.dumps(problem_document(kind("what is wrong"))).encode(), status=f"{kind.status} CloudWatchError")
    with RawServer(answer_always(answer)) as server, pytest.raises(kind, match="what is wrong"):
        client.notify(server.address, "/invalidate", {}, timeout_seconds=60.0)


def test_a_notified_member_that_does_not_answer_is_unavailable(client: InternalClient) -> None:
    def script(connection: socket.socket, _number: int) -> None:
        read_request(connection)
        read_request(connection)

    with RawServer(script) as server, pytest.raises(Unavailable):
        client.notify(server.address, "/invalidate", {}, timeout_seconds=0.2)


def read_put(connection: socket.socket) -> bytes:
    """A request of 12 bytes of body, head and all; b"" if the other side has closed."""
    data = read_request(connection)
    while data and len(data.partition(b"\r\n\r\n")[2]) < 12:
        data += connection.recv(65536)
    return data


def test_a_put_carries_the_token_and_its_body_on_one_connection(client: InternalClient) -> None:
    requests: list[bytes] = []

    def script(connection: socket.socket, _number: int) -> None:
        while request := read_put(connection):
            requests.append(request)
            connection.sendall(ok(b"{}", status="201 Created"))

    with RawServer(script) as server:
        url = f"http://{server.address}/internal/images/a%20b"
        answers = [client.put(url, b"twelve bytes", headers={"X-Write-Id": str(number)}) for number in range(2)]
        assert server.connections == 1
        [sock] = client._upload._idle[server.address]
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        for level, name, value in dead_peer_options(GONE_SECONDS):
            assert sock.getsockopt(level, name) == value
    assert [(answer.status, decoded(answer)) for answer in answers] == [(201, {})] * 2
    assert requests[0].startswith(b"PUT /internal/images/a%20b HTTP/1.1\r\n")
    for line in (b"Authorization: Bearer secret", b"X-Write-Id: 0", b"Content-Length: 12"):
        assert line in requests[0].split(b"\r\n")
    assert requests[0].endswith(b"\r\n\r\ntwelve bytes")


def test_a_put_is_sent_again_if_its_connection_was_closed(client: InternalClient) -> None:
    def script(connection: socket.socket, number: int) -> None:
        read_put(connection)
        connection.sendall(ok(str(number).encode()))
        if number == 0:
            read_put(connection)  # and it is closed without a word

    with RawServer(script) as server:
        url = f"http://{server.address}/"
        assert [client.put(url, b"twelve bytes", headers={}).body for _ in range(2)] == [b"0", b"1"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_put_may_be_refused(client: InternalClient, kind: type[ElasticImagesError]) -> None:
    answer = ok(json.dumps(problem_document(kind("what is wrong"))).encode(), status=f"{kind.status} CloudWatchError")

    def script(connection: socket.socket, _number: int) -> None:
        read_put(connection)
        connection.sendall(answer)

    with RawServer(script) as server, pytest.raises(kind, match="what is wrong") as caught:
        client.put(f"http://{server.address}/", b"twelve bytes", headers={})
    assert type(caught.value) is kind


def test_a_put_without_an_answer_may_have_been_done_and_one_without_a_connection_not(client: InternalClient) -> None:
    with RawServer(lambda connection, _number: (read_put(connection), None)[1]) as server:
        with pytest.raises(NoAnswer):
            client.put(f"http://{server.address}/", b"twelve bytes", headers={})
        assert server.connections == 1
    with pytest.raises(NotConnected):
        client.put(f"http://{server.address}/", b"twelve bytes", headers={})


def test_a_fetch_over_tls_is_urllib3s(client: InternalClient) -> None:
    hello: list[bytes] = []

    def script(connection: socket.socket, _number: int) -> None:
        hello.append(connection.recv(3))

    with RawServer(script) as server, pytest.raises(Unavailable):
        client.fetch(f"https://{server.address}/", timeout_seconds=5)
    assert hello[0][:2] == b"\x16\x03"  # a TLS handshake


NO_ANSWERS = {
    "closed at once": b"",
    "no HTTP": b"220 ready\r\n",
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    "an error page": ok(b"<h1>no</h1>", status="502 Bad Gateway"),
    "a problem of nobody's": ok(b'{"type": "about:blank", "detail": "x"}', status="500 No"),
    "a problem that is none": ok(b"[]", status="400 No"),
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
def test_anything_but_our_answers_is_unavailable(client: InternalClient, answer: bytes) -> None:
    def script(connection: socket.socket, _number: int) -> None:
        read_request(connection)
        connection.sendall(answer)

    with RawServer(script) as server, pytest.raises(Unavailable):
        client.request("GET", f"http://{server.address}/")


def test_no_answer_in_time_or_no_connection_is_unavailable(client: InternalClient) -> None:
    def hung(connection: socket.socket, _number: int) -> None:
        read_request(connection)
        read_request(connection)

    with RawServer(hung) as server, pytest.raises(Unavailable, match="does not answer"):
        client.request("GET", f"http://{server.address}/", timeout_seconds=0.1)
    with pytest.raises(Unavailable):
        client.request("GET", "http://127.0.0.1:1/", timeout_seconds=60.0)


def test_a_connection_breaks_when_the_other_machine_is_gone(client: InternalClient) -> None:
    """What that does is seen in tests/system/test_several_hosts.py."""
    with RawServer(answer_always(ok(b"1"))) as server:
        client.get_json(f"http://{server.address}/")
        kept: Any = client._pool.connection_from_url(f"http://{server.address}/").pool
        connection = kept.get()
        sock = connection.sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        for level, name, value in dead_peer_options(GONE_SECONDS):
            assert sock.getsockopt(level, name) == value
        connection.close()


def test_no_call_is_retried(client: InternalClient) -> None:
    with RawServer(lambda connection, _number: (read_request(connection), None)[1]) as server:
        with pytest.raises(Unavailable):
            client.request("POST", f"http://{server.address}/")
        assert server.connections == 1


def test_a_redirect_is_not_followed(client: InternalClient) -> None:
    with RawServer(answer_always(ok(b"", "Location: http://127.0.0.1:1/", status="302 Found"))) as server:
        assert client.request("GET", f"http://{server.address}/").status == 302


def test_a_body_may_be_streamed_both_ways(client: InternalClient) -> None:
    with RawServer(answer_always(ok(b"0123456789"))) as server:
        url = f"http://{server.address}/"
        answer = client.request("GET", url, stream=True)
        assert b"".join(answer.stream(3)) == b"0123456789"
        answer.release_conn()
        assert client.request("GET", url).data == b"0123456789"
        assert server.connections == 1
    received: list[bytes] = []

    def keep(connection: socket.socket, _number: int) -> None:
        data = read_request(connection)
        while not data.endswith(b"the end"):
            data += connection.recv(65536)
        received.append(data)
        connection.sendall(ok(b""))

    with RawServer(keep) as server:
        headers = {"Content-Length": "1000007"}
        body = io.BytesIO(b"x" * 1_000_000 + b"the end")
        client.request("PUT", f"http://{server.address}/", body=body, headers=headers)
    assert received[0].endswith(b"x" * 1000 + b"the end")


def test_an_empty_answer_is_none_and_one_that_is_not_json_unavailable(client: InternalClient) -> None:
    with RawServer(answer_always(ok(b""))) as server:
        assert client.get_json(f"http://{server.address}/") is None
    with RawServer(answer_always(ok(b"<html>"))) as server:
        answer = client.request("GET", f"http://{server.address}/")
        with pytest.raises(Unavailable):
            decoded(answer)


def test_without_a_token_none_is_sent() -> None:
    requests: list[bytes] = []

    def script(connection: socket.socket, _number: int) -> None:
        requests.append(read_request(connection))
        connection.sendall(ok(b""))

    stranger = InternalClient(None)
    with RawServer(script) as server:
        stranger.request("GET", f"http://{server.address}/", headers={"X-More": "1"})
    stranger.close()
    assert b"authorization" not in requests[0].lower()
    assert b"X-More: 1" in requests[0]


def test_an_error_that_is_streamed_is_read(client: InternalClient) -> None:
    body = json.dumps(problem_document(NotFound("none"))).encode()
    with RawServer(answer_always(ok(body, status="404 Not found"))) as server:
        for _ in range(2):
            with pytest.raises(NotFound):
                client.request("GET", f"http://{server.address}/", stream=True)
        assert server.connections == 1, "its connection is given back"
