"""A cache node over real HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import pytest
from testing.waiting import wait_for
from tests.apps.node_support import TOKEN, Node, Storage, entry, served_node

from elastic_images.core.assignment import alternating
from elastic_images.core.keys import quote_key
from elastic_images.core.pool_map import close_resize, first_map, open_resize
from elastic_images.core.problems import PROBLEM_TYPE_PREFIX
from elastic_images.core.renditions import PRESETS, rendition_name
from elastic_images.imaging.imaging import Priority

KEY = "k1"


class Got(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> str:
        return str(json.loads(self.body)["type"]).removeprefix(PROBLEM_TYPE_PREFIX)


@pytest.fixture
def storage() -> Storage:
    return Storage(KEY, "caf\u00e9/a b", "big")


@pytest.fixture
def node(storage: Storage, tmp_path: Path) -> Iterator[Node]:
    with served_node(storage, tmp_path) as made:
        yield made


def ask(node: Node, path: str, method: str = "GET", *, token: str | None = TOKEN, **headers: str) -> Got:
    host, _, port = node.address.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, headers=sent)
        answer = connection.getresponse()
        return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def image(node: Node, key: str = KEY, **headers: str) -> Got:
    return ask(node, f"/images/{quote_key(key)}", **headers)


# --- reading


def test_the_first_read_is_a_miss_and_the_next_a_hit(node: Node, storage: Storage) -> None:
    first, second = image(node), image(node)
    assert (first.status, first.headers["x-cache"], first.body) == (200, "MISS", b"k1 version 1")
    assert (second.status, second.headers["x-cache"], second.body) == (200, "HIT", b"k1 version 1")
    assert storage.asked == [KEY]
    assert node.figures() == (1, 1)


def test_an_answer_carries_the_facts_that_travel_between_processes(node: Node) -> None:
    headers = image(node).headers
    assert headers["etag"] == entry(KEY).etag
    assert headers["content-type"] == "image/png"
    assert headers["content-length"] == "12"
    assert headers["x-image-version"] == "1"
    assert float(headers["x-image-updated"]) == entry(KEY).updated_at
    assert headers["last-modified"] == "Sun, 09 Sep 2001 01:46:41 GMT"


def test_every_answer_about_an_image_says_who_may_see_it(node: Node, storage: Storage) -> None:
    storage.entries[KEY] = entry(KEY, visibility="private", owner_id=7)
    asked: list[dict[str, str]] = [
        {},
        {"Range": "bytes=3-9"},
        {"If_None_Match": "*"},
        {"If_Match": '"other"'},
        {"Range": "bytes=99-"},
    ]
    statuses = []
    for headers in asked * 2:  # a miss, then from memory
        got = image(node, X_Elastic_Images_Protocol="3", **headers)
        statuses.append(got.status)
        assert (got.headers["x-image-visibility"], got.headers["x-image-owner"]) == ("private", "7")
    assert statuses == [200, 206, 304, 412, 416] * 2


def test_callers_of_an_older_protocol_get_what_is_public(node: Node, storage: Storage) -> None:
    image(node)
    storage.entries["other"] = entry("other", visibility="members")
    assert image(node, "other", X_Elastic_Images_Protocol="3").status == 200
    for path in ("/images/other", "/peer/other"):
        assert ask(node, path, X_Elastic_Images_Protocol="3").status == 200
        older: list[dict[str, str]] = [{}, {"X_Elastic_Images_Protocol": "2"}]
        for named in older:
            got = ask(node, path, **named)
            assert (got.status, got.problem) == (421, "not-mine"), "storage is asked next, and judges"
            assert "x-image-visibility" not in got.headers
        assert ask(node, path.replace("other", KEY)).status == 200


def test_a_rendition_to_be_made_says_who_may_see_the_original_if_that_is_known(node: Node, storage: Storage) -> None:
    storage.entries[KEY] = entry(KEY, visibility="private", owner_id=7)
    path = f"/renditions/{quote_key(rendition_name(KEY, PRESETS['thumb']))}"
    unknown = ask(node, path)
    assert (unknown.status, unknown.headers.get("x-image-visibility")) == (202, None)
    image(node, X_Elastic_Images_Protocol="3")
    known = ask(node, path)
    assert (known.status, known.headers["x-image-visibility"], known.headers["x-image-owner"]) == (202, "private", "7")
    made = ask(node, path, X_Elastic_Images_Protocol="3", X_Make="member")
    assert (made.status, made.headers["x-image-visibility"], made.headers["x-image-owner"]) == (200, "private", "7")


def test_a_key_of_any_spelling_is_found(node: Node, storage: Storage) -> None:
    assert image(node, "caf\u00e9/a b").status == 200
    assert ask(node, "/images/caf%C3%A9%2Fa%20b").headers["x-cache"] == "HIT"
    assert storage.asked == ["caf\u00e9/a b"]
    assert ask(node, "/images/caf%E9").problem == "invalid-key"


def test_head_has_the_headers_and_no_body(node: Node) -> None:
    got = ask(node, f"/images/{KEY}", "HEAD")
    assert (got.status, got.headers["content-length"], got.body) == (200, "12", b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_an_image_is_changed_by_storage_alone(node: Node, storage: Storage, method: str) -> None:
    assert ask(node, f"/images/{KEY}", method).status in (404, 405)
    assert storage.asked == []


def test_conditions_and_ranges_are_obeyed_also_on_a_miss(node: Node) -> None:
    assert image(node, If_None_Match=entry(KEY).etag).status == 304
    assert image(node, Range="bytes=3-9").body == b"version"
    assert image(node, If_Match='"other"').status == 412
    assert image(node, Range="bytes=99-").headers["content-range"] == "bytes */12"
    whole = image(node, If_None_Match="*", Range="bytes=3-9", X_Whole="1")
    assert (whole.status, whole.body) == (200, b"k1 version 1")


def test_an_unknown_key_is_404_each_time_anew(node: Node, storage: Storage) -> None:
    for _ in range(2):
        assert image(node, "unknown").problem == "not-found"
    assert storage.asked == ["unknown"] * 2, "that there is none is not kept"


def test_an_image_larger_than_the_cache_is_served_and_not_kept(tmp_path: Path, storage: Storage) -> None:
    storage.entries["big"] = entry("big", body=b"x" * 50_000)
    with served_node(storage, tmp_path, capacity_bytes=20_000) as node:
        for _ in range(2):
            got = image(node, "big")
            assert (got.headers["x-cache"], len(got.body)) == ("MISS", 50_000)
        assert node.cache.statistics()["bytes"] == 0


# --- who may ask, and whom


@pytest.mark.parametrize("path", ["/images/k1", "/peer/k1", "/keys", "/stats", "/nothing"])
@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x"])
def test_nothing_is_answered_without_the_token(node: Node, storage: Storage, path: str, token: str | None) -> None:
    got = ask(node, path, token=token)
    assert (got.status, got.problem) == (401, "unauthenticated")
    assert storage.asked == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_and_metrics_need_no_token(node: Node, path: str) -> None:
    assert ask(node, path, token=None).status == 200


def test_another_incarnation_refuses(node: Node) -> None:
    got = image(node, X_Incarnation="f" * 32)
    assert (got.status, got.problem) == (409, "conflict")
    assert image(node, X_Incarnation=node.cache.incarnation).status == 200


def test_what_is_not_its_own_is_refused(node: Node, storage: Storage) -> None:
    image(node)
    opened = open_resize(first_map(alternating(1)), alternating(2))
    node.obey(opened)
    assert image(node).headers["x-cache"] == "HIT", "the previous owner may still answer"
    node.obey(close_resize(opened))
    for path in ("/images/k1", "/peer/k1"):
        got = ask(node, path)
        assert (got.status, got.problem) == (421, "not-mine")
    assert storage.asked == [KEY]


def test_a_dark_node_refuses_and_is_not_ready(node: Node, storage: Storage) -> None:
    image(node)
    node.lapse()
    for path in ("/images/k1", "/peer/k1"):
        assert ask(node, path).problem == "not-mine"
    assert ask(node, "/readyz?require=read").status == 503
    assert ask(node, "/healthz").status == 200
    assert storage.asked == [KEY]


def test_stale_bytes_are_given_only_where_allowed_and_only_for_so_long(tmp_path: Path, storage: Storage) -> None:
    with served_node(storage, tmp_path, serve_stale=60.0) as node:
        image(node)
        node.lapse()
        got = image(node, X_Stale="1")
        assert (got.status, got.headers["x-cache"], got.body) == (200, "STALE", b"k1 version 1")
        assert image(node, "unknown", X_Stale="1").status == 404
        assert image(node).status == 421, "who does not ask for it does not get it"
        node.now[0] += 60.0
        assert image(node, X_Stale="1").status == 404


def test_without_the_setting_nothing_is_stale(node: Node) -> None:
    image(node)
    node.lapse()
    assert image(node, X_Stale="1").status == 404


# --- peers and lists


def test_a_peer_is_answered_from_memory_only(node: Node, storage: Storage) -> None:
    assert ask(node, "/peer/k1").status == 404
    assert storage.asked == []
    image(node)
    got = ask(node, "/peer/k1", If_None_Match="*", Range="bytes=0-1")
    assert (got.status, got.body) == (200, b"k1 version 1")
    assert node.figures() == (0, 1), "a peer's question is no read"


def test_keys_are_listed_in_pages_hottest_first(node: Node, storage: Storage) -> None:
    names = [f"key-{number}" for number in range(7)]
    storage.entries |= {name: entry(name) for name in names}
    for name in names:
        node.now[0] += 0.01
        image(node, name)
    listed: list[str] = []
    cursor: int | None = 0
    while cursor is not None:
        page = json.loads(ask(node, f"/keys?limit=3&cursor={cursor}").body)
        assert len(page["keys"]) <= 3
        listed += [item["key"] for item in page["keys"]]
        cursor = page["next"]
    assert listed == names[::-1]
    first = json.loads(ask(node, "/keys?limit=1").body)["keys"][0]
    assert first["size_bytes"] == entry(names[-1]).size_bytes


def test_keys_are_listed_by_partition(node: Node) -> None:
    image(node)
    assert [item["key"] for item in json.loads(ask(node, "/keys?partitions=3,11").body)["keys"]] == [KEY]
    assert json.loads(ask(node, "/keys?partitions=3").body) == {"keys": [], "next": None, "policy": "LRU"}


def test_only_nodes_that_ask_for_them_are_told_of_renditions(node: Node) -> None:
    """Others would not find them at an invalidation (protocol 1)."""
    name = rendition_name(KEY, PRESETS["thumb"])
    node.node.read_or_make(name, Priority.STRANGER_RENDITION)

    def listed(query: str) -> set[str]:
        return {item["key"] for item in json.loads(ask(node, f"/keys{query}").body)["keys"]}

    assert listed("") == {KEY}
    assert listed("?renditions=1") == {KEY, name}


@pytest.mark.parametrize("name", ["k1%00thumb", "k1%00", "k1%00w0", "k1%00w20,w20"])
def test_no_other_names_than_canonical_ones_are_kept(node: Node, name: str) -> None:
    assert ask(node, f"/renditions/{name}", X_Make="member").status == 400
    assert node.cache.statistics()["items"] == 0


def test_processes_of_protocol_1_name_renditions_in_another_way(node: Node) -> None:
    assert ask(node, "/images/k1%00thumb").status == 200
    assert node.cache.peek(rendition_name(KEY, PRESETS["thumb"])) is not None


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=-1", "limit=100000", "cursor=-1", "partitions=16"])
def test_a_bad_parameter_is_named(node: Node, query: str) -> None:
    got = ask(node, f"/keys?{query}")
    assert (got.status, got.problem) == (400, "invalid-request")
    assert query.split("=", maxsplit=1)[0] in str(json.loads(got.body)["detail"])


def test_statistics(node: Node) -> None:
    image(node)
    image(node)
    stats = json.loads(ask(node, "/stats").body)
    assert stats["slot"] == 0
    assert (stats["hits"], stats["misses"], stats["requests"], stats["items"]) == (1, 1, 2, 1)
    assert stats["bytes"] == entry(KEY).size_bytes
    assert (stats["epoch"], stats["incarnation"]) == (1, node.cache.incarnation)


# --- fills


def test_fifty_who_ask_at_once_cost_one_fill(node: Node, storage: Storage) -> None:
    storage.gate.clear()
    with ThreadPoolExecutor(50) as threads:
        asked = [threads.submit(image, node) for _ in range(50)]
        storage.wait_until_asked(1)
        wait_for_waiters(node, 49)
        storage.gate.set()
        answers = [one.result() for one in asked]
    assert {(got.status, got.body) for got in answers} == {(200, b"k1 version 1")}
    assert storage.asked == [KEY]


def wait_for_waiters(node: Node, count: int) -> None:
    """Return when so many have joined the fill of the key."""
    fill = node.cache._fills[KEY]
    wait_for(lambda: len(fill._done._cond._waiters) == count, "they have joined")  # type: ignore[attr-defined]


@pytest.mark.parametrize(("trouble", "status"), [("down", 503), ("gone", 404)])
def test_a_fill_that_fails_frees_all_who_wait_with_its_error(
    node: Node, storage: Storage, trouble: str, status: int
) -> None:
    storage.gate.clear()
    with ThreadPoolExecutor(20) as threads:
        asked = [threads.submit(image, node) for _ in range(20)]
        storage.wait_until_asked(1)
        wait_for_waiters(node, 19)
        storage.down = trouble == "down"
        if trouble == "gone":
            del storage.entries[KEY]
        storage.gate.set()
        answers = [one.result() for one in asked]
    assert {got.status for got in answers} == {status}
    assert len(storage.asked) == 1
    assert node.cache.statistics()["fills"] == 0
    storage.down = False
    storage.entries[KEY] = entry(KEY, 2)
    assert image(node).body == b"k1 version 2", "a failure is not kept"


def test_fills_under_way_are_bounded_and_who_finds_no_place_is_told_so(tmp_path: Path) -> None:
    names = [f"key-{number}" for number in range(12)]
    storage = Storage(*names)
    storage.gate.clear()
    with served_node(storage, tmp_path, places=4) as node, ThreadPoolExecutor(12) as threads:
        asked = as_completed([threads.submit(image, node, name) for name in names])
        refused = [next(asked).result() for _ in range(8)]
        assert {(got.status, got.problem) for got in refused} == {(503, "unavailable")}
        storage.gate.set()
        assert {one.result().status for one in asked} == {200}
        assert (storage.most_inside, len(storage.asked)) == (4, 4)
        assert node.cache.statistics()["fills"] == 0


def test_an_invalidation_during_a_fill_leaves_nothing_old_behind(node: Node, storage: Storage) -> None:
    storage.gate.clear()
    with ThreadPoolExecutor(2) as threads:
        early = threads.submit(image, node)
        storage.wait_until_asked(1)
        old = storage.entries[KEY]
        node.cache.invalidate_keys(node.cache.incarnation, [KEY])
        late = threads.submit(image, node)
        storage.wait_until_asked(2)
        storage.entries[KEY] = entry(KEY, 2)
        storage.gate.set()
        assert early.result().status == 200
        assert late.result().body == b"k1 version 2"
    assert storage.asked == [KEY, KEY], "who came after the invalidation fetched anew"
    assert image(node).body == b"k1 version 2" != old.body


# --- the previous owner


def test_a_fill_asks_the_previous_owner_before_storage(tmp_path: Path, storage: Storage) -> None:
    opened = open_resize(first_map(alternating(1)), alternating(2))
    with served_node(storage, tmp_path) as source, served_node(storage, tmp_path, slot=1) as destination:
        image(source)
        members = (source.member, destination.member)
        source.obey(opened, *members)
        destination.obey(opened, *members)
        got = image(destination)
        assert (got.headers["x-cache"], got.body) == ("HIT", b"k1 version 1"), "it counts as a hit"
        assert image(destination).headers["x-cache"] == "HIT"
        assert storage.asked == [KEY]
        assert destination.figures() == (2, 0)


@pytest.mark.parametrize("trouble", ["dark", "lost", "gone", "another life", "not in memory"])
def test_a_previous_owner_that_does_not_give_it_costs_a_miss(tmp_path: Path, storage: Storage, trouble: str) -> None:
    opened = open_resize(first_map(alternating(1)), alternating(2))
    with served_node(storage, tmp_path, slot=1) as destination:
        with served_node(storage, tmp_path) as source:
            if trouble != "not in memory":
                image(source)
            source.obey(opened)
            destination.obey(opened, source.member, destination.member)
            if trouble == "dark":
                source.lapse()
            elif trouble == "lost":
                source.obey(close_resize(opened))
            elif trouble == "another life":
                source.cache.start_incarnation("e" * 32)
            if trouble != "gone":
                got = image(destination)
        if trouble == "gone":
            got = image(destination)
        assert (got.status, got.headers["x-cache"]) == (200, "MISS")
        assert storage.asked[-1] == KEY
