"""Renditions, from a client to a node that makes them. Each test runs by the front, and by what the server calls."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from testing.imaging import rendered
from testing.waiting import wait_for
from tests.apps.node_support import Storage, entry, served_node
from tests.apps.plane_support import KEY, Web, told
from tests.unit.pool.raw_server import RawServer, read_request

from elastic_images.core.errors import BrokenImage, TooLarge, Unavailable
from elastic_images.core.rendition_spec import FORMATS, RenditionSpec
from elastic_images.core.renditions import PRESETS, rendition_name
from elastic_images.front.listener import SLOW_THREADS
from elastic_images.http.answer import Answer
from elastic_images.imaging.imaging import Priority
from elastic_images.memcache.renditions import PLACES

THUMB = PRESETS["thumb"]
NAME = rendition_name(KEY, THUMB)
QUERY = "rendition=thumb"
ORIGINAL = b"k1 version 1"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture(params=["front", "behind"])
def make(stack: ExitStack, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Web]:
    def made(**options: Any) -> Web:
        storage = Storage(KEY, "other")
        node = stack.enter_context(served_node(storage, tmp_path))
        web = Web(storage, node, **options)
        stack.callback(web.client.close)
        stack.callback(node.imaging.gate.set)
        if request.param == "front":
            stack.enter_context(web.behind_front())
        return web

    return made


def thumb(web: Web, key: str = KEY, method: str = "GET", **headers: str) -> Answer:
    return web.get(key, method, QUERY, **headers)


def test_a_rendition_is_made_by_its_owner_once_and_kept_wherever_images_are(make: Callable[..., Web]) -> None:
    web = make(near_bytes=1_000_000)
    answers = [thumb(web)]
    while len(answers) < 9 and told(answers[-1]) != "HIT-NEAR":
        answers.append(thumb(web))
    assert {(answer.status, answer.body) for answer in answers} == {("200 OK", rendered(ORIGINAL, THUMB))}
    assert [told(answer) for answer in answers][:2] == ["MISS", "HIT"]
    assert told(answers[-1]) == "HIT-NEAR"
    assert told(answers[0], "X-Cache-Node") == "0"
    for answer in answers:
        assert told(answer, "Content-Type") == "image/webp"
        assert told(answer, "Cache-Control") == "public, no-cache"
        assert told(answer, "X-Image-Original") is None
    assert web.storage.asked == [KEY]
    assert len(web.nodes[0].imaging.made) == 1


def test_conditions_hold_for_renditions_in_and_out_of_memory(make: Callable[..., Web]) -> None:
    web = make()
    etag = told(thumb(web, method="HEAD"), "ETag") or ""
    assert len(web.nodes[0].imaging.made) == 1
    assert thumb(web, if_none_match=etag).status.startswith("304")
    web.nodes[0].cache.clear(web.nodes[0].cache.incarnation)
    assert thumb(web, if_none_match=etag).status.startswith("304"), "made again, of the same bytes"
    assert thumb(web, range="bytes=0-3").body == rendered(ORIGINAL, THUMB)[:4]


def test_a_write_leaves_no_rendition_of_older_bytes(make: Callable[..., Web]) -> None:
    web = make(near_bytes=1_000_000)
    node, near = web.nodes[0].cache, web.near
    assert near is not None
    for _ in range(4):
        thumb(web)
    web.storage.entries[KEY] = entry(KEY, 2)
    node.invalidate_keys(node.incarnation, [KEY])
    near.cache.invalidate_keys(near.cache.incarnation, [KEY])
    assert thumb(web).body == rendered(b"k1 version 2", THUMB)


def test_an_image_that_is_not_there_has_no_renditions(make: Callable[..., Web]) -> None:
    web = make()
    assert thumb(web, "none").status.startswith("404")
    assert web.get("none").status.startswith("404")
    assert web.get(query="rendition=poster").status.startswith("400")


@pytest.mark.parametrize("error", [BrokenImage("broken"), TooLarge("IMAGING_MEMORY_MB"), Unavailable("busy")])
def test_what_a_node_could_not_make_is_not_tried_again_elsewhere(make: Callable[..., Web], error: Exception) -> None:
    web = make()
    web.nodes[0].imaging.error = error
    answer = thumb(web)
    assert answer.status.startswith(str(getattr(error, "status", 0)))
    assert str(error).encode() in answer.body
    assert told(answer, "Content-Type") == "application/problem+json"
    assert web.storage.asked == [KEY], "storage was asked for the original alone"


def test_other_reads_go_on_while_many_renditions_are_made(make: Callable[..., Web]) -> None:
    web = make()
    imaging = web.nodes[0].imaging
    imaging.gate.clear()
    with ThreadPoolExecutor(SLOW_THREADS + 20) as readers:
        asked = [readers.submit(thumb, web) for _ in range(SLOW_THREADS + 20)]
        wait_for(lambda: imaging.made, "a rendition is being made")
        for _ in range(2):
            assert web.get().body == ORIGINAL
        assert web.get("other").body == b"other version 1", "fills go on as well"
        imaging.gate.set()
        assert {answer.result().body for answer in asked} == {rendered(ORIGINAL, THUMB)}
    assert len(imaging.made) == 1


@pytest.mark.parametrize("make", ["front"], indirect=True)
def test_what_nobody_waits_for_any_more_is_kept(make: Callable[..., Web]) -> None:
    web = make()
    assert web.port is not None
    node = web.nodes[0]
    node.imaging.gate.clear()
    with socket.create_connection(("127.0.0.1", web.port)) as client:
        client.sendall(f"GET /images/{KEY}?{QUERY} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_for(lambda: node.imaging.made, "it is being made")
    node.imaging.gate.set()
    wait_for(lambda: node.cache.peek(NAME) is not None, "it was kept")
    assert told(thumb(web)) == "HIT"


def test_without_its_owner_storage_makes_it_and_nothing_is_kept(make: Callable[..., Web]) -> None:
    web = make(near_bytes=1_000_000)
    web.storage.entries[NAME] = entry(NAME, body=b"by storage")
    web.view = replace(web.view, members=())
    for _ in range(4):
        answer = thumb(web)
        assert (answer.body, told(answer)) == (b"by storage", "BYPASS")
        assert told(answer, "X-Image-Version") is None
    assert set(web.storage.asked) == {NAME}


def test_a_node_of_the_protocol_before_is_not_asked_for_renditions(make: Callable[..., Web], stack: ExitStack) -> None:
    """It would keep them under names that it does not find at an invalidation."""
    web = make()
    web.storage.entries[NAME] = entry(NAME, body=b"by storage")
    asked: list[bytes] = []

    def not_found(connection: socket.socket, _number: int) -> None:
        while request := read_request(connection):
            asked.append(request.split(b"\r\n")[0])
            connection.sendall(b"HTTP/1.1 404 NOT FOUND\r\nContent-Length: 0\r\n\r\n")

    old = stack.enter_context(RawServer(not_found))
    web.point_at(old.address)
    answer = thumb(web)
    assert (answer.body, told(answer)) == (b"by storage", "BYPASS")
    assert asked
    assert all(line.startswith(b"GET /renditions/k1%00w320") for line in asked)


def test_a_node_that_dies_while_it_makes_one_costs_time_only(make: Callable[..., Web], stack: ExitStack) -> None:
    web = make()
    web.storage.entries[NAME] = entry(NAME, body=b"by storage")

    def dying(connection: socket.socket, _number: int) -> None:
        while request := read_request(connection):
            if b"X-Make" in request:
                return
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    node = stack.enter_context(RawServer(dying))
    web.point_at(node.address)
    answer = thumb(web)
    assert (answer.body, told(answer)) == (b"by storage", "BYPASS")


def test_strangers_do_not_keep_members_waiting(make: Callable[..., Web]) -> None:
    web = make()
    imaging = web.nodes[0].imaging
    imaging.gate.clear()
    imaging.ungated = lambda: imaging.made[-1][2] is Priority.MEMBER_RENDITION
    asked_by_strangers = [f"w={width}&format={made}" for width in (320, 400, 640) for made in FORMATS]
    with ThreadPoolExecutor(SLOW_THREADS + 20) as readers:
        strangers = [
            readers.submit(web.get, query=asked_by_strangers[number % len(asked_by_strangers)])
            for number in range(SLOW_THREADS + 20)
        ]
        wait_for(lambda: len(imaging.made) == PLACES - 2, "strangers have all places that they may have")
        for query in ("w=480", "w=512"):
            answer = web.get(query=query, cookie="session=ann")
            assert (answer.status, told(answer)) == ("200 OK", "MISS")
        imaging.gate.set()
        assert {answer.result().status for answer in strangers} == {"200 OK"}
    assert len(imaging.made) == len(asked_by_strangers) + 2


# --- by URL

ACCEPT = "image/avif,image/webp,*/*;q=0.8"


def test_a_rendition_is_named_by_what_it_is_and_not_by_how_it_was_asked_for(make: Callable[..., Web]) -> None:
    web = make()
    answers = [web.get(query=query) for query in ("w=400&h=300", "h=300&utm_source=x&w=400", "w=200&h=150&dpr=2")]
    spec = RenditionSpec(400, 300)
    assert [told(answer) for answer in answers[:2]] == ["MISS", "HIT"]
    assert answers[0].body == answers[1].body == rendered(ORIGINAL, spec)
    assert answers[2].status.startswith("403"), "200 is no width for visitors"
    assert len(web.nodes[0].imaging.made) == 1


@pytest.mark.parametrize("near_bytes", [0, 1_000_000], ids=["node", "near"])
def test_format_auto_varies_by_accept_wherever_the_bytes_are(make: Callable[..., Web], near_bytes: int) -> None:
    web = make(near_bytes=near_bytes)
    made = {ACCEPT: "w400,avif", "image/webp": "w400,webp", "*/*": "w400"}
    for _ in range(4):
        for accept, spec in made.items():
            answer = web.get(query="w=400&format=auto", accept=accept)
            assert answer.body == rendered(ORIGINAL, RenditionSpec.parse_canonical(spec))
            assert told(answer, "Vary") == "Accept"
    alone = web.get(query="format=auto", accept="*/*")
    assert (alone.body, told(alone, "Vary")) == (ORIGINAL, "Accept")
    assert told(web.get(query="w=400&format=webp"), "Vary") is None
    assert len(web.nodes[0].imaging.made) == 3


@pytest.mark.parametrize("query", ["w=401", "w=400&h=310&fit=cover", "w=400&q=81", "w=333&format=auto"])
def test_strangers_are_told_the_nearest_that_they_may_ask_for(make: Callable[..., Web], query: str) -> None:
    web = make()
    for headers in ({}, {"cookie": "session=ann"}, {"range": "bytes=0-1"}):
        answer = web.get(query=query, **headers)
        assert answer.status.startswith("403")
        problem = json.loads(answer.body)
        assert problem["type"].endswith("/rendition-not-allowed")
        nearest = problem["detail"].partition("/images/k1?")[2].partition(" ")[0]
        assert "API token" in problem["detail"]
    assert web.nodes[0].imaging.made == []
    assert web.get(query=nearest).status.startswith("200")
    allowed = web.get(query=query, authorization="Bearer ann")
    assert allowed.status.startswith("200")
    assert {priority for _, _, priority in web.nodes[0].imaging.made[1:]} == {Priority.MEMBER_RENDITION}
    assert web.get(query=query, authorization="Bearer bad").status.startswith("401")


@pytest.mark.parametrize("query", ["w=0", "w=1.5", "w=4&w=5", "fit=cover", "format=gif", "preset=no", "width=400"])
def test_bad_parameters_are_refused_and_nothing_is_asked(make: Callable[..., Web], query: str) -> None:
    web = make(near_bytes=1_000_000)
    for method in ("GET", "HEAD"):
        answer = web.get(method=method, query=query)
        assert answer.status.startswith("400")
        assert told(answer, "Cache-Control") == "no-store"
    assert (web.storage.asked, web.nodes[0].imaging.made) == ([], [])


@pytest.mark.parametrize("near_bytes", [0, 1_000_000], ids=["node", "near"])
@pytest.mark.parametrize("more", ["", "&w=400&format=auto"])
def test_an_address_with_the_current_version_is_immutable(make: Callable[..., Web], near_bytes: int, more: str) -> None:
    web = make(near_bytes=near_bytes)
    node = web.nodes[0].cache
    version = hashlib.sha256(ORIGINAL).hexdigest()[:12]
    for _ in range(4):
        answer = web.get(query=f"v={version}{more}")
        assert answer.status.startswith("200")
        assert told(answer, "Cache-Control") == "public, max-age=31536000, immutable"
        assert told(answer, "Vary") == ("Accept" if more else None)
        etag = told(answer, "ETag") or ""
        for query in (f"v={version[:11]}{more}", f"v={'0' * 12}{more}", f"v={version.upper()}x{more}", f"{more[1:]}"):
            assert told(web.get(query=query), "Cache-Control") == "public, no-cache"
        unchanged = web.get(query=f"v={version}{more}", if_none_match=etag)
        assert unchanged.status.startswith("304")
        assert told(unchanged, "Cache-Control") == "public, max-age=31536000, immutable"
    web.storage.entries[KEY] = entry(KEY, 2)
    node.invalidate_keys(node.incarnation, [KEY])
    if web.near is not None:
        web.near.cache.invalidate_keys(web.near.cache.incarnation, [KEY])
    replaced = web.get(query=f"v={version}{more}")
    assert b"k1 version 2" in replaced.body
    assert told(replaced, "Cache-Control") == "public, no-cache"


def test_past_the_pool_addresses_are_immutable_as_well(make: Callable[..., Web]) -> None:
    web = make()
    web.view = replace(web.view, members=())
    version = hashlib.sha256(ORIGINAL).hexdigest()[:12]
    answer = web.get(query=f"v={version}")
    assert (told(answer), told(answer, "Cache-Control")) == ("BYPASS", "public, max-age=31536000, immutable")
    assert told(answer, "X-Image-Original") is None


def test_where_visitors_may_not_read_no_address_is_immutable(make: Callable[..., Web]) -> None:
    web = make(near_bytes=1_000_000, mode="none")
    version = hashlib.sha256(ORIGINAL).hexdigest()[:12]
    for _ in range(4):
        answer = web.get(query=f"v={version}", authorization="Bearer ann")
        assert told(answer, "Cache-Control") == "private, no-cache"
