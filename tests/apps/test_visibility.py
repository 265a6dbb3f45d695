"""Who may see an image is judged on every way out. Each test runs by the front, and by what the server calls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from testing.imaging import rendered
from tests.apps.node_support import LEASE_SECONDS, Storage, entry, served_node
from tests.apps.plane_support import KEY, Web, told
from tests.unit.pool.raw_server import RawServer, answer_always, ok

from elastic_images.core.assignment import alternating
from elastic_images.core.errors import BrokenImage, NotFound, Unavailable
from elastic_images.core.image_facts import Actor
from elastic_images.core.pool_map import first_map, open_resize
from elastic_images.core.renditions import PRESETS
from elastic_images.core.visibility import Visibility
from elastic_images.http.answer import Answer
from elastic_images.pool.view import PoolView

NEAR = 1_000_000
THUMB = PRESETS["thumb"]
OWNER, OTHER, ROOT = "Bearer ann", "Bearer bob", "Bearer root"
ETAG = entry(KEY).etag


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture(params=["front", "behind"])
def make(stack: ExitStack, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Web]:
    def made(*, visibility: Visibility = "private", nodes: int = 1, **options: Any) -> Web:
        """`KEY` is an image of ann's."""
        storage = Storage()
        storage.entries[KEY] = entry(KEY, visibility=visibility, owner_id=1)
        stale = options.get("serve_stale", 0.0)
        served = [
            stack.enter_context(served_node(storage, tmp_path / str(slot), slot=slot, serve_stale=stale))
            for slot in range(nodes)
        ]
        web = Web(storage, *served, **options)
        stack.callback(web.client.close)
        if request.param == "front":
            stack.enter_context(web.behind_front())
        return web

    return made


def change(web: Web, visibility: Visibility) -> None:
    """A change of visibility is a write: storage has it, then every copy is gone."""
    web.storage.entries[KEY] = entry(KEY, visibility=visibility, owner_id=1)
    caches = [node.cache for node in web.nodes] + ([web.near.cache] if web.near else [])
    for cache in caches:
        cache.invalidate_keys(cache.incarnation, [KEY])


def shown(answer: Answer) -> tuple[str, dict[str, str], bytes]:
    return answer.status, dict(answer.headers), answer.body


WAYS: dict[str, tuple[int, dict[str, str]]] = {
    "whole": (200, {}),
    "head": (200, {"method": "HEAD"}),
    "range": (206, {"range": "bytes=3-9"}),
    "not modified": (304, {"if_none_match": ETAG}),
    "any": (304, {"if_none_match": "*"}),
    "since": (304, {"if_modified_since": "Sun, 09 Sep 2001 01:46:41 GMT"}),
    "failed": (412, {"if_match": '"x"'}),
    "unsatisfiable": (416, {"range": "bytes=99-"}),
    "immutable": (200, {"query": f"v={hashlib.sha256(b'k1 version 1').hexdigest()[:12]}"}),
}


@pytest.mark.parametrize(("status", "asked"), WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("near_bytes", [0, NEAR], ids=["node", "near"])
def test_to_those_who_may_not_see_it_no_answer_tells_that_it_exists(
    make: Callable[..., Web], status: int, asked: dict[str, str], near_bytes: int
) -> None:
    web = make(near_bytes=near_bytes)
    unknown = shown(web.get("unknown", **asked))
    assert unknown[0] == "404 Not Found" or unknown[0].startswith("404")

    def check() -> None:
        for stranger in ({}, {"authorization": OTHER}, {"cookie": "session=bob"}, {"authorization": "Bearer nobody"}):
            assert shown(web.get(**asked, **stranger)) == unknown
        for friend in ({"authorization": OWNER}, {"cookie": "session=ann"}, {"authorization": ROOT}):
            answer = web.get(**asked, **friend)
            assert answer.status.startswith(str(status))
            assert told(answer, "Cache-Control") == "private, no-cache"
            assert not [name for name, _ in answer.headers if name.startswith(("X-Image-", "Access-Control-"))]

    check()  # fills the node
    check()  # brings it near
    check()
    web.point_at("127.0.0.1:1")
    if web.near is not None:
        web.near.cache.clear("a" * 32)
    check()  # past the pool


@pytest.mark.parametrize("near_bytes", [0, NEAR], ids=["node", "near"])
def test_members_see_what_is_for_members(make: Callable[..., Web], near_bytes: int) -> None:
    web = make(visibility="members", near_bytes=near_bytes)
    for _ in range(4):
        assert web.get(authorization=OTHER).body == web.get(cookie="session=bob").body == b"k1 version 1"
        assert web.get().status == web.get(cookie="session=gone").status == "404 Not found"


def test_what_is_public_may_be_read_by_any_page_and_needs_no_look_at_credentials(make: Callable[..., Web]) -> None:
    web = make(visibility="public", near_bytes=NEAR)
    for authorization in (None, OWNER, "Bearer nobody"):
        for asked in ({}, {"range": "bytes=3-9"}, {"if_none_match": "*"}):
            answer = web.get(**asked, **({"authorization": authorization} if authorization else {}))
            assert told(answer, "Cache-Control") == "public, no-cache"
            assert told(answer, "Access-Control-Allow-Origin") == "*"
    assert web.identified == []


@pytest.mark.parametrize("near_bytes", [0, NEAR], ids=["node", "near"])
def test_a_browser_that_has_it_learns_nothing_once_it_is_private(make: Callable[..., Web], near_bytes: int) -> None:
    web = make(visibility="public", near_bytes=near_bytes)
    for _ in range(4):
        assert web.get(if_none_match=ETAG).status.startswith("304")
    change(web, "private")
    for _ in range(4):
        assert web.get(if_none_match=ETAG).status.startswith("404")
        assert web.get(if_none_match=ETAG, authorization=OWNER).status.startswith("304")
    change(web, "public")
    assert web.get(if_none_match=ETAG).status.startswith("304")


# --- renditions


def thumb(web: Web, **headers: str) -> Answer:
    return web.get(query="preset=thumb", **headers)


@pytest.mark.parametrize("near_bytes", [0, NEAR], ids=["node", "near"])
def test_nothing_is_made_for_those_who_may_not_see_the_original(make: Callable[..., Web], near_bytes: int) -> None:
    web = make(near_bytes=near_bytes)
    unknown = shown(web.get("unknown", query="preset=thumb"))

    def refuse() -> None:
        for stranger in ({}, {"authorization": OTHER}):
            assert shown(thumb(web, **stranger)) == unknown

    refuse()  # nothing is in memory: storage is asked
    web.get(authorization=OWNER)
    refuse()  # the node has the original, and says who may see it
    assert web.nodes[0].imaging.made == []
    for _ in range(3):
        answer = thumb(web, authorization=OWNER)
        assert answer.body == rendered(b"k1 version 1", THUMB)
        assert told(answer, "Cache-Control") == "private, no-cache"
        refuse()
    assert len(web.nodes[0].imaging.made) == 1
    web.point_at("127.0.0.1:1")
    refuse()  # storage would have to make it: it judges


@pytest.mark.parametrize("error", [BrokenImage("broken"), Unavailable("busy")], ids=["415", "503"])
def test_that_a_rendition_fails_is_told_to_those_who_may_see_the_original(
    make: Callable[..., Web], error: Exception
) -> None:
    web = make()
    web.nodes[0].imaging.error = error
    unknown = shown(web.get("unknown", query="preset=thumb"))
    for _ in range(2):
        assert str(error).encode() in thumb(web, authorization=OWNER).body
        assert shown(thumb(web)) == shown(thumb(web, authorization=OTHER)) == unknown


# --- between processes


@pytest.mark.parametrize("near_bytes", [0, NEAR], ids=["node", "near"])
def test_who_joins_a_fill_is_judged_by_themselves(make: Callable[..., Web], near_bytes: int) -> None:
    web = make(near_bytes=near_bytes)
    web.get(authorization=OWNER)
    change(web, "private")
    web.storage.gate.clear()
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(web.get, authorization=who) for who in (OTHER, OWNER) * 3]
        web.storage.wait_until_asked(2)
        web.storage.gate.set()
        assert [one.result().status[:3] for one in asked] == ["404", "200"] * 3


def test_a_new_owner_gets_it_from_the_previous_one_with_its_visibility(make: Callable[..., Web]) -> None:
    web = make(nodes=2)
    old, new = web.nodes
    web.get(authorization=OWNER)
    opened = open_resize(first_map(alternating(1)), alternating(2))
    members = (old.member, new.member)
    for node in web.nodes:
        node.obey(opened, *members)
    web.view = PoolView(opened, members)
    for _ in range(2):
        assert web.get().status.startswith("404")
        answer = web.get(authorization=OWNER)
        assert (answer.status, told(answer, "X-Cache-Node"), told(answer)) == ("200 OK", "1", "HIT")
    assert web.storage.asked == [KEY]


def test_stale_bytes_are_shown_only_of_what_was_public(make: Callable[..., Web]) -> None:
    web = make(serve_stale=60.0, near_bytes=NEAR)
    for _ in range(4):
        web.get(authorization=OWNER)
    web.nodes[0].lapse()
    web.now += LEASE_SECONDS
    web.storage.down = True
    assert {web.get(**who).status[:3] for who in ({}, {"authorization": OWNER})} == {"503"}
    assert {thumb(web, **who).status[:3] for who in ({}, {"authorization": OWNER})} == {"503"}


def without(*names: str) -> bytes:
    """An answer of a node about an image, without some of its facts."""
    facts = {name: value for name, value in entry(KEY).headers if name not in ("Content-Length", *names)}
    return ok(b"k1 version 1", *(f"{name}: {value}" for name, value in facts.items()))


OLDER = {
    "an image": without("X-Image-Visibility"),
    "nothing": ok(b"{}", status="404 Not Found"),
    "not modified": b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
}


@pytest.mark.parametrize("answered", OLDER.values(), ids=OLDER.keys())
@pytest.mark.parametrize("near_bytes", [0, NEAR], ids=["node", "near"])
def test_what_a_node_of_an_older_protocol_says_is_not_relied_on(
    make: Callable[..., Web], answered: bytes, near_bytes: int
) -> None:
    web = make(near_bytes=near_bytes)
    with RawServer(answer_always(answered)) as server:
        web.point_at(server.address)
        for _ in range(3):
            assert web.get().status.startswith("404")
            answer = web.get(authorization=OWNER)
            assert (answer.body, told(answer)) == (b"k1 version 1", "BYPASS")
        web.client.close()
    if web.near is not None:
        assert web.near.cache.statistics()["items"] == 0


def test_other_parts_of_web_read_for_somebody(make: Callable[..., Web]) -> None:
    web = make()
    for _ in range(2):
        assert web.plane.read_whole(KEY, Actor(1, "ann")).body == b"k1 version 1"
        with pytest.raises(NotFound, match="There is no image with this key"):
            web.plane.read_whole(KEY, Actor(2, "bob"))
    assert web.identified == []


# --- who asks


def test_people_are_looked_up_once_in_two_seconds(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    for moment in (0.0, 1.9, 2.1):
        web.now = moment
        for _ in range(5):
            assert web.get(authorization=OWNER).status == "200 OK"
    assert web.identified == ["ann"] * 2


def test_what_is_revoked_elsewhere_is_shown_for_two_seconds_at_most(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    for _ in range(4):
        assert web.get(authorization=OWNER).status == "200 OK"
    del web.people["ann"]
    web.now = 1.9
    assert web.get(authorization=OWNER).status == "200 OK"
    web.now = 2.0
    assert web.get(authorization=OWNER).status.startswith("404")


def test_what_is_revoked_here_is_shown_no_more(make: Callable[..., Web]) -> None:
    web = make(near_bytes=NEAR)
    for _ in range(4):
        assert web.get(cookie="session=ann").status == "200 OK"
    del web.people["ann"]
    web.viewers.forget()
    assert web.get(cookie="session=ann").status.startswith("404")


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_where_visitors_may_not_read_others_stay_in_front(make: Callable[..., Web], visibility: Visibility) -> None:
    web = make(visibility=visibility, mode="none", near_bytes=NEAR)
    for _ in range(4):
        for who in ({"authorization": OWNER}, {"cookie": "session=ann"}):
            assert web.get(**who).body == b"k1 version 1"
            assert web.get(if_none_match=ETAG, **who).status.startswith("304")
            assert web.get("unknown", **who).status.startswith("404")
        asked: list[dict[str, str]] = [{}, {"method": "HEAD"}, {"range": "bytes=0-1"}, {"query": "w=400"}]
        for asked_for in asked:
            for who in ({}, {"authorization": "Bearer nobody"}, {"cookie": "session=gone"}):
                assert web.get(**asked_for, **who).status.startswith("418"), "Flask sends them to the login"


def test_where_everything_is_open_visitors_see_everything(make: Callable[..., Web]) -> None:
    web = make(mode="admin", near_bytes=NEAR)
    for _ in range(4):
        answer = web.get()
        assert (answer.status, told(answer, "Cache-Control")) == ("200 OK", "private, no-cache")
