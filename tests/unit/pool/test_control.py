"""The control listener over real HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from elastic_images.core.assignment import alternating
from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.entry import Entry
from elastic_images.core.errors import Conflict, Unauthenticated, Unavailable
from elastic_images.core.fills import FillTicket
from elastic_images.core.pool_map import first_map
from elastic_images.core.problems import PROBLEM_TYPE_PREFIX
from elastic_images.http.internal_client import InternalClient
from elastic_images.pool.control_listener import ControlListener
from elastic_images.pool.invalidation import HttpInvalidationChannel
from elastic_images.pool.view import Member

TOKEN, LIFE = "secret", "a" * 32


class Setup(NamedTuple):
    cache: CoherentCache
    listener: ControlListener

    @property
    def member(self) -> Member:
        return Member(LIFE, "node-0", "node", f"127.0.0.1:{self.listener.port}", "")

    def keep(self, key: str) -> None:
        begun = self.cache.lookup_or_begin_fill(key)
        assert isinstance(begun, FillTicket)
        entry = Entry(
            key,
            b"bytes",
            content_type="image/png",
            etag='"e"',
            version=1,
            updated_at=0.0,
            visibility="public",
            owner_id=None,
        )
        assert self.cache.complete_fill(begun.fill, entry)

    def call(self, method: str, path: str, body: bytes = b"", *, token: str | None = TOKEN) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.listener.port, timeout=60)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def started() -> Iterator[Setup]:
    """One listener for all: its end takes half a second."""
    cache = CoherentCache(ByteCache(1_000_000), lambda: 0.0, slot=0)
    cache.start_incarnation(LIFE)
    cache.take_map(first_map(alternating(1)))
    cache.renew_lease(1.0)
    made = Setup(cache, ControlListener("127.0.0.1", 0, TOKEN, cache))
    made.listener.start()
    yield made
    made.listener.stop()


@pytest.fixture
def setup(started: Setup) -> Setup:
    started.cache.clear(LIFE)
    return started


@pytest.fixture
def http_client() -> Iterator[InternalClient]:
    made = InternalClient(TOKEN)
    yield made
    made.close()


def test_an_invalidation_drops_the_keys(setup: Setup, http_client: InternalClient) -> None:
    for key in ("a", "caf\u00e9/b", "c"):
        setup.keep(key)
    HttpInvalidationChannel(http_client).send(setup.member, ["a", "caf\u00e9/b", "unknown"], 5.0)
    assert [setup.cache.peek(key) is None for key in ("a", "caf\u00e9/b", "c")] == [True, True, False]


def test_an_invalidation_that_is_answered_has_spoiled_the_fill(setup: Setup) -> None:
    begun = setup.cache.lookup_or_begin_fill("a")
    assert isinstance(begun, FillTicket)
    body = json.dumps({"incarnation": LIFE, "keys": ["a"]}).encode()
    assert setup.call("POST", "/invalidate", body) == (200, {"dropped": 0})
    assert begun.fill.spoiled


def test_many_invalidations_use_one_connection(setup: Setup, http_client: InternalClient) -> None:
    channel = HttpInvalidationChannel(http_client)
    for number in range(50):
        channel.send(setup.member, [f"key-{number}"], 5.0)
    assert sum(thread.name.endswith("(process_request_thread)") for thread in threading.enumerate()) <= 1


def test_clearing_drops_everything(setup: Setup) -> None:
    for key in "abc":
        setup.keep(key)
    assert setup.call("POST", "/clear", json.dumps({"incarnation": LIFE}).encode()) == (200, {"dropped": 3})
    assert setup.cache.statistics()["items"] == 0


@pytest.mark.parametrize("path", ["/invalidate", "/clear"])
def test_another_incarnation_refuses_and_nothing_is_dropped(setup: Setup, path: str) -> None:
    setup.keep("a")
    status, problem = setup.call("POST", path, json.dumps({"incarnation": "b" * 32, "keys": ["a"]}).encode())
    assert (status, problem["type"]) == (409, PROBLEM_TYPE_PREFIX + "conflict")
    assert setup.cache.peek("a") is not None


def test_the_channel_tells_why_it_was_not_heard(setup: Setup, http_client: InternalClient) -> None:
    other = Member("b" * 32, "node-0", "node", setup.member.address, "")
    for _ in range(3):  # also on a connection that was closed after the refusal
        with pytest.raises(Conflict):
            HttpInvalidationChannel(http_client).send(other, ["a"], 5.0)
    HttpInvalidationChannel(http_client).send(setup.member, ["a"], 5.0)
    stranger = InternalClient("wrong")
    with pytest.raises(Unauthenticated):
        HttpInvalidationChannel(stranger).send(setup.member, ["a"], 5.0)
    stranger.close()
    nobody = Member(LIFE, "node-0", "node", "127.0.0.1:1", "")
    with pytest.raises(Unavailable):
        HttpInvalidationChannel(http_client).send(nobody, ["a"], 5.0)


@pytest.mark.parametrize("token", [None, "", "wrong", "secre", "\u00e9"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/healthz"), ("POST", "/clear"), ("GET", "/nothing")])
def test_nothing_is_answered_without_the_token(setup: Setup, token: str | None, method: str, path: str) -> None:
    status, problem = setup.call(method, path, token=token)
    assert (status, problem["type"]) == (401, PROBLEM_TYPE_PREFIX + "unauthenticated")


def test_health_names_the_incarnation_and_the_epoch(setup: Setup) -> None:
    assert setup.call("GET", "/healthz") == (200, {"epoch": 1, "incarnation": LIFE})


BAD = {
    "no JSON": (b"keys", 400),
    "no object": (b"[]", 400),
    "no keys": (json.dumps({"incarnation": LIFE}).encode(), 400),
    "keys that are no list": (json.dumps({"incarnation": LIFE, "keys": "a"}).encode(), 400),
    "keys that are no text": (json.dumps({"incarnation": LIFE, "keys": [1]}).encode(), 400),
    "no UTF-8": (b'{"keys": ["\xff"]}', 400),
    "too large": (b" " * 4_000_001, 413),
}


@pytest.mark.parametrize(("body", "status"), BAD.values(), ids=BAD.keys())
def test_a_body_that_cannot_be_understood_changes_nothing(setup: Setup, body: bytes, status: int) -> None:
    setup.keep("a")
    assert setup.call("POST", "/invalidate", body)[0] == status
    assert setup.cache.peek("a") is not None


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/invalidate"), ("POST", "/healthz")])
def test_there_is_nothing_else(setup: Setup, method: str, path: str) -> None:
    assert setup.call(method, path)[0] == 404


def test_it_answers_while_others_keep_it_waiting(setup: Setup) -> None:
    """Half a request each, from more clients than any pool of threads would have."""
    waiting = [socket.create_connection(("127.0.0.1", setup.listener.port)) for _ in range(100)]
    for connection in waiting:
        connection.sendall(b"POST /invalidate HTTP/1.1\r\n")
    assert setup.call("GET", "/healthz")[0] == 200
    for connection in waiting:
        connection.close()


def test_it_answers_in_the_midst_of_fills(setup: Setup) -> None:
    fills = [setup.cache.lookup_or_begin_fill(f"key-{number}") for number in range(100)]
    body = json.dumps({"incarnation": LIFE, "keys": [f"key-{number}" for number in range(100)]}).encode()
    assert setup.call("POST", "/invalidate", body) == (200, {"dropped": 0})
    assert all(isinstance(begun, FillTicket) and begun.fill.spoiled for begun in fills)


def test_a_port_that_is_taken_is_an_error_at_once(setup: Setup) -> None:
    with pytest.raises(OSError, match="in use"):
        ControlListener("127.0.0.1", setup.listener.port, TOKEN, setup.cache)


def test_it_can_be_stopped_before_it_was_started() -> None:
    cache = CoherentCache(ByteCache(1), lambda: 0.0, slot=None)
    listener = ControlListener("127.0.0.1", 0, TOKEN, cache)
    port = listener.port
    listener.stop()
    with socket.create_server(("127.0.0.1", port)):
        pass
