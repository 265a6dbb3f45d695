"""Renditions, from a client to a node that makes them. Each test runs by the front, and by what the server calls."""

from __future__ import annotations

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
from elastic_images.core.renditions import PRESETS, rendition_name
from elastic_images.front.listener import SLOW_THREADS
from elastic_images.http.answer import Answer

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
