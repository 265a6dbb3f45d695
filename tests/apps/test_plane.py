"""The image data plane of web, on real nodes: near cache, owner node, storage.

Each test runs twice: by the front, over HTTP, and by what the server behind it calls. Both answer the same.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from testing.waiting import wait_for
from tests.apps.node_support import LEASE_SECONDS, TOKEN, Storage, entry, served_node
from tests.apps.plane_support import KEY, Web, told
from tests.unit.pool.raw_server import RawServer, Script, answer_always, ok, read_request

from elastic_images.core.assignment import alternating
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.image_facts import Actor
from elastic_images.core.pool_map import close_resize, first_map, open_resize, settle
from elastic_images.front.reads import Environ
from elastic_images.http.answer import Answer
from elastic_images.http.lean_client import LeanClient
from elastic_images.pool.view import PoolView
from elastic_images.process.server import serving
from elastic_images.web.reads.near_cache import PopularKeys
from elastic_images.web.reads.plane import ImagePlane
from elastic_images.web.reads.viewers import ImageRead

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture(params=["front", "behind"])
def make(stack: ExitStack, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Web]:
    def made(*, nodes: int = 1, **options: Any) -> Web:
        storage = Storage(KEY, "caf\u00e9/a b")
        serve_stale = options.get("serve_stale", 0.0)
        served = [
            stack.enter_context(served_node(storage, tmp_path, slot=slot, serve_stale=serve_stale))
            for slot in range(nodes)
        ]
        web = Web(storage, *served, **options)
        stack.callback(web.client.close)
        if request.param == "front":
            stack.enter_context(web.behind_front())
        return web

    return made


NEAR = 1_000_000

# --- through the owner


def test_a_read_says_where_it_came_from(make: Callable[..., Web]) -> None:
    web = make()
    first, second = web.get(), web.get()
    assert (first.status, first.body, told(first), told(first, "X-Cache-Node")) == (
        "200 OK",
        b"k1 version 1",
        "MISS",
        "0",
    )
    assert (second.body, told(second)) == (b"k1 version 1", "HIT")


def test_an_answer_has_the_public_headers_and_none_of_the_internal_ones(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    for _ in range(4):
        answer = web.get()
        assert told(answer, "Cache-Control") == "public, no-cache"
        assert told(answer, "X-Content-Type-Options") == "nosniff"
        assert told(answer, "Content-Security-Policy") == "default-src 'none'; sandbox"
        assert told(answer, "ETag") == entry(KEY).etag
        assert told(answer, "Content-Type") == "image/png"
        assert told(answer, "Last-Modified") == "Sun, 09 Sep 2001 01:46:41 GMT"
        assert told(answer, "X-Image-Version") is None


def test_where_anonymous_reading_is_off_answers_are_private(make: Callable[..., Web]) -> None:
    web = make(mode="none", near_bytes=NEAR)
    for _ in range(4):
        answer = web.get(authorization="Bearer ann")
        assert told(answer, "Cache-Control") == "private, no-cache"
        assert told(answer, "Access-Control-Allow-Origin") is None


def test_who_refuses_is_told_what_was_asked(make: Callable[..., Web]) -> None:
    web, asked = make(), []

    def refuse(error: ElasticImagesError, environ: Environ) -> Answer:
        asked.append((error.slug, environ["PATH_INFO"], environ.get("HTTP_ACCEPT")))
        return Answer("404 Not Found", [("Content-Length", "0")], b"")

    web.plane.refuse = refuse
    assert web.get("none", accept="text/html").status == "404 Not Found"
    assert web.get("none", query="w=320", accept="text/html").status == "404 Not Found"
    assert asked == [("not-found", "/images/none", "text/html")] * 2


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        ({"if_none_match": entry(KEY).etag}, 304, b""),
        ({"if_none_match": '"x"'}, 200, b"k1 version 1"),
        ({"range": "bytes=3-9"}, 206, b"version"),
        ({"range": "bytes=3-9", "if_range": '"x"'}, 200, b"k1 version 1"),
        ({"range": "bytes=99-"}, 416, b""),
        ({"if_match": '"x"'}, 412, b""),
        ({"if_modified_since": "Sun, 09 Sep 2001 01:46:41 GMT"}, 304, b""),
        ({"if_unmodified_since": "Sun, 09 Sep 2001 01:46:40 GMT"}, 412, b""),
    ],
    ids=str,
)
@pytest.mark.parametrize("near_bytes", [0, NEAR], ids=["node", "near"])
def test_conditions_and_ranges_are_the_same_wherever_the_bytes_are(
    make: Callable[..., Web], headers: dict[str, str], status: int, body: bytes, near_bytes: int
) -> None:
    web = make(near_bytes=near_bytes)
    for _ in range(4):
        answer = web.get(**headers)
        assert (int(answer.status[:3]), answer.body) == (status, body)
    web.point_at("127.0.0.1:1")
    if web.near is not None:
        web.near.cache.clear("a" * 32)
    bypassed = web.get(**headers)
    assert (int(bypassed.status[:3]), bypassed.body, told(bypassed)) == (status, body, "BYPASS")
    assert not [name for name, _ in bypassed.headers if name.startswith("X-Image-")], "facts for our own processes"


def test_head_has_the_length_of_the_whole(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    for _ in range(4):
        assert told(web.get(method="HEAD"), "Content-Length") == "12"


def test_an_unknown_key_is_404_and_a_bad_one_400(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    for _ in range(4):
        assert web.get("unknown").status.startswith("404")
    for bad in ("a//b", "..", "a/", "x" * 256, "a\x00b"):
        assert web.get(bad).status.startswith("400")
    assert set(web.storage.asked) == {"unknown"}


def test_parameters_that_mean_nothing_are_left_aside_and_too_many_are_400(make: Callable[..., Web]) -> None:
    web = make()
    assert web.get(query="&".join(["a=1"] * 20)).status.startswith("200")
    assert web.get(query="&".join(["a=1"] * 21)).status.startswith("400")


def test_a_key_of_any_spelling_is_found(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    for _ in range(4):
        assert web.get("caf\u00e9/a b").body == "caf\u00e9/a b version 1".encode()


def test_the_new_owner_is_found_by_a_refresh(make: Callable[..., Web]) -> None:
    web = make(nodes=2)
    moved = settle(close_resize(open_resize(first_map(alternating(1)), alternating(2))))
    for node in web.nodes:
        node.obey(moved)
    web.newer = PoolView(moved, tuple(node.member for node in web.nodes))
    answer = web.get()
    assert (told(answer), told(answer, "X-Cache-Node")) == ("MISS", "1")
    assert web.refreshes == 1


# --- I4: a node in trouble costs a bypass


def gone(_connection: object, _number: int) -> None:
    """Closes at once."""


def hung(connection: Any, _number: int) -> None:
    read_request(connection)
    read_request(connection)


TROUBLES: dict[str, Script] = {
    "gone": gone,
    "500": answer_always(ok(b"{}", status="500 Internal Server Error")),
    "503": answer_always(ok(b"{}", status="503 Unavailable")),
    "another token": answer_always(ok(b"{}", status="401 Unauthorized")),
    "something else": answer_always(ok(b"hello", status="302 Found")),
    "no http": answer_always(b"220 smtp ready\r\n\r\n"),
    "not mine": answer_always(ok(b"{}", status="421 Not mine")),
    "another life": answer_always(ok(b"{}", status="409 Conflict")),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
@pytest.mark.parametrize("near_bytes", [0, NEAR], ids=["node", "near"])
def test_a_node_in_trouble_costs_a_bypass_and_never_an_error(
    make: Callable[..., Web], trouble: Script, near_bytes: int
) -> None:
    web = make(near_bytes=near_bytes)
    with RawServer(trouble) as server:
        web.point_at(server.address)
        for _ in range(4):
            answer = web.get()
            assert (answer.status, answer.body, told(answer)) == ("200 OK", b"k1 version 1", "BYPASS")
        web.client.close()
    if web.near is not None:
        assert web.near.cache.statistics()["items"] == 0, "nothing is kept of a bypass"
        assert web.near.cache.statistics()["fills"] == 0
    assert web.counters.read()["bypasses"] == 4


class KeepsBypassBytes(ImagePlane):
    """Breaks the rule that nothing but a fill inserts."""

    def _bypass(self, name: str, read: ImageRead) -> Answer:
        answer = super()._bypass(name, read)
        assert self._near is not None
        self._near.cache._cache.put(self._storage.get_entry(name))
        return answer


def test_a_web_process_that_keeps_bypass_bytes_is_caught(
    make: Callable[..., Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Web, "kind", KeepsBypassBytes)
    with pytest.raises(AssertionError):
        test_a_node_in_trouble_costs_a_bypass_and_never_an_error(make, TROUBLES["gone"], NEAR)


def test_an_answer_without_the_facts_of_an_image_is_not_kept_but_bypassed(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    web.plane._near.wants = lambda _key: True  # type: ignore[union-attr, method-assign]
    with RawServer(answer_always(ok(b"bytes"))) as server:
        web.point_at(server.address)
        assert (web.get().body, told(web.get())) == (b"k1 version 1", "BYPASS")
        web.client.close()


def test_a_hung_node_costs_time_twice_and_then_none(make: Callable[..., Web]) -> None:
    web = make()
    web.client = LeanClient(TOKEN, answer_seconds=0.1, connect_seconds=60.0)
    web.plane._router._client = web.client
    with RawServer(hung) as server:
        web.point_at(server.address)
        for _ in range(6):
            assert told(web.get()) == "BYPASS"
        wait_for(lambda: server.connections >= 2)
        assert server.connections == 2, "the breaker is open"
    assert web.counters.read()["node_failures"] == 2


def test_without_a_pool_storage_answers(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    web.view = PoolView()
    for _ in range(3):
        assert told(web.get()) == "BYPASS"
    assert web.get("unknown").status.startswith("404")


def test_without_pool_and_storage_it_is_503_with_retry_after(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    web.view = PoolView()
    web.storage.down = True
    for _ in range(3):
        answer = web.get()
        assert answer.status.startswith("503")
        assert told(answer, "Retry-After") is not None


def test_while_storage_is_down_hits_go_on(make: Callable[..., Web]) -> None:
    web = make()
    web.get()
    web.storage.down = True
    assert told(web.get()) == "HIT"
    assert web.get("caf\u00e9/a b").status.startswith("503")


# --- the near cache


def test_what_is_read_again_comes_near(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    assert [told(web.get()) for _ in range(4)] == ["MISS", "HIT", "HIT-NEAR", "HIT-NEAR"]
    assert web.counters.read()["hits"] == 2
    assert web.nodes[0].figures() == (1, 1), "what the near cache answers is counted there and nowhere else"


def test_an_invalidation_reaches_what_is_near(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    assert web.near is not None
    for _ in range(3):
        web.get()
    web.storage.entries[KEY] = entry(KEY, 2)
    for cache in (web.nodes[0].cache, web.near.cache):
        cache.invalidate_keys(cache.incarnation, [KEY])
    assert (web.get().body, told(web.get())) == (b"k1 version 2", "HIT-NEAR")


def test_a_near_fill_that_is_overtaken_by_a_write_is_not_kept(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    assert web.near is not None
    web.get()
    node, near = web.nodes[0].cache, web.near.cache
    node.invalidate_keys(node.incarnation, [KEY])  # so that the fill goes to storage, where the test can hold it
    web.storage.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        early = threads.submit(web.get)
        web.storage.wait_until_asked(2)
        old = web.storage.entries[KEY]
        node.invalidate_keys(node.incarnation, [KEY])
        near.invalidate_keys(near.incarnation, [KEY])
        web.storage.gate.set()
        assert early.result().body == old.body
    assert near.peek(KEY) is None
    web.storage.entries[KEY] = entry(KEY, 2)
    assert web.get().body == b"k1 version 2"


def test_a_dark_near_cache_answers_nothing_and_takes_nothing(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    assert web.near is not None
    for _ in range(3):
        web.get()
    web.now += LEASE_SECONDS
    assert [told(web.get()) for _ in range(3)] == ["HIT"] * 3
    assert web.near.cache.statistics()["items"] == 1, "it is kept for when the lease is renewed"


def test_an_image_that_is_large_for_the_near_cache_stays_out(make: Callable[..., Web]) -> None:
    web = make(near_bytes=80_000)
    assert web.near is not None
    web.storage.entries[KEY] = entry(KEY, body=b"x" * 10_001)
    assert [told(web.get()) for _ in range(4)] == ["MISS", "HIT", "HIT", "HIT"]
    assert web.near.cache.statistics()["items"] == 0


def test_many_who_want_the_same_cost_the_owner_one_question(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    web.get()
    node = web.nodes[0].cache
    node.invalidate_keys(node.incarnation, [KEY])
    web.storage.gate.clear()
    with ThreadPoolExecutor(20) as threads:
        asked = [threads.submit(web.get) for _ in range(20)]
        web.storage.wait_until_asked(2)
        web.storage.gate.set()
        assert {one.result().body for one in asked} == {b"k1 version 1"}
    assert len(web.storage.asked) == 2
    assert sum(web.nodes[0].figures()) == 2


def test_those_who_wait_for_a_near_fill_that_fails_ask_for_themselves(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    asked, go_on = threading.Event(), threading.Event()

    def trouble(connection: Any, _number: int) -> None:
        read_request(connection)
        asked.set()
        go_on.wait(60)

    with RawServer(trouble) as server, ThreadPoolExecutor(8) as threads:
        web.plane._near.wants = lambda _key: True  # type: ignore[union-attr, method-assign]
        web.point_at(server.address)
        reads = [threads.submit(web.get) for _ in range(8)]
        assert asked.wait(60)
        go_on.set()
        assert {(one.result().status, told(one.result())) for one in reads} == {("200 OK", "BYPASS")}


def test_popular_is_what_is_read_again_before_many_others_came() -> None:
    popular = PopularKeys(remembered_keys=4, popular_reads=2)
    assert [popular.count_read("a") for _ in range(3)] == [False, True, True]
    for other in "bcde":
        assert not popular.count_read(other)
    assert not popular.count_read("a"), "forgotten meanwhile"
    popular.reject("k")
    assert not any(popular.count_read("k") for _ in range(500))
    many = PopularKeys(remembered_keys=10)
    for number in range(1000):
        many.count_read(str(number))
    assert len(many._counts) <= 10


# --- stale, where the user allows it


def test_stale_bytes_are_marked_and_only_a_last_resort(make: Callable[..., Web]) -> None:
    web = make(serve_stale=60.0)
    web.get()
    web.nodes[0].lapse()
    assert told(web.get()) == "BYPASS", "storage comes first"
    web.storage.down = True
    stale = web.get()
    assert (stale.status, stale.body, told(stale)) == ("200 OK", b"k1 version 1", "STALE")
    assert told(stale, "Cache-Control") == "public, no-cache"
    assert web.get("caf\u00e9/a b").status.startswith("503")
    web.nodes[0].now[0] += 60.0
    assert web.get().status.startswith("503")


def test_the_near_cache_has_stale_bytes_too(make: Callable[..., Web]) -> None:
    web = make(serve_stale=60.0, near_bytes=NEAR)
    for _ in range(3):
        web.get()
    web.view = PoolView()
    web.now += LEASE_SECONDS
    web.storage.down = True
    assert told(web.get()) == "STALE"


def test_without_the_setting_nothing_is_stale(make: Callable[..., Web]) -> None:
    web = make()
    web.get()
    web.nodes[0].lapse()
    web.storage.down = True
    assert web.get().status.startswith("503")


# --- in front of Flask


def test_what_is_no_open_read_of_an_image_is_left_to_the_app_behind(make: Callable[..., Web]) -> None:
    web = make()

    def behind(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "6")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"behind"]

    def open_to(environ: WSGIEnvironment) -> bool:
        return "HTTP_COOKIE" not in environ

    with serving(web.plane.in_front_of(behind, open_to)) as bound:
        assert fetch(bound.port, "GET", "/images/k1") == (200, b"k1 version 1")
        assert fetch(bound.port, "HEAD", "/images/k1") == (200, b"")
        assert fetch(bound.port, "GET", "/images/k1", Cookie="session=1") == (200, b"behind")
        assert fetch(bound.port, "POST", "/images/k1") == (200, b"behind")
        assert fetch(bound.port, "GET", "/api/images/k1") == (200, b"behind")
        assert fetch(bound.port, "GET", "/images/caf%C3%A9%2Fa%20b") == (200, "caf\u00e9/a b version 1".encode())


def fetch(port: int, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_whole_image_can_be_read_by_other_parts_of_web(make: Callable[..., Web]) -> None:
    web = make()
    assert web.plane.read_whole(KEY, Actor(None, "anonymous")).body == b"k1 version 1"
    assert web.plane.locate(KEY) == (11, 0)
