"""The pull keeps the fill rule, step by step; how much it pulls is tested in tests/apps/test_warming.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import cast

import pytest
from tests.unit.pool.pools import node

from elastic_images.core.assignment import alternating
from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.entry import Entry
from elastic_images.core.errors import Unavailable
from elastic_images.core.fills import Fill, FillTicket
from elastic_images.core.image_facts import quoted
from elastic_images.core.pool_map import abort_resize, close_resize, first_map, open_resize, settle
from elastic_images.http.entries import fact_headers
from elastic_images.http.internal_client import InternalClient
from elastic_images.http.lean_client import LeanAnswer, LeanClient
from elastic_images.memcache.warm.pull_thread import PullThread
from elastic_images.memcache.warm.sources import PullSources
from elastic_images.pool.view import PoolView

KEY = "k1"
"""In partition 11: node 0 of one, node 1 of two."""
ONE = first_map(alternating(1))
OPEN = open_resize(ONE, alternating(2))


class Setup:
    """Node 1, which gains from node 0; the test says what happens while node 0 is asked for bytes."""

    def __init__(self, kind: type[CoherentCache] = CoherentCache) -> None:
        self.now = 0.0
        self.cache = kind(ByteCache(1_000_000), lambda: self.now, slot=1)
        self.cache.start_incarnation("b")
        self.cache.take_map(OPEN)
        self.cache.renew_lease(3.0)
        self.asked: list[str] = []
        self.listed = [KEY]
        self.body = b"bytes"
        self.on_list: Callable[[], None] = lambda: None
        self.on_ask: Callable[[], None] = lambda: None
        self.view = PoolView(OPEN, (node(0), node(1)))
        sources = PullSources(cast(LeanClient, self), cast(InternalClient, self))
        self.puller = PullThread(1, self.cache, sources, bytes_per_second=1_000_000_000)

    def get(self, address: str, path: str, headers: Mapping[str, str]) -> LeanAnswer:
        assert address == "data-0:1"
        self.asked.append(path)
        if path.startswith("/keys"):
            self.on_list()
            listed = [{"key": name, "size_bytes": 2000, "rank": -1.0} for name in self.listed]
            return LeanAnswer(200, {}, json.dumps({"keys": listed, "next": None}).encode())
        assert headers["X-Incarnation"] == node(0).incarnation
        self.on_ask()
        facts = {name.lower(): value for name, value in fact_headers(1, 0.0, "public", None)}
        return LeanAnswer(
            200, {"content-type": "image/png", "etag": quoted(sha256(b"bytes").hexdigest()), **facts}, self.body
        )

    def pull(self) -> None:
        self.puller.consider(self.view)
        self.puller._pull(self.view)


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_bytes_that_were_damaged_on_the_way_are_not_kept(setup: Setup) -> None:
    setup.body = b"bytez"
    setup.pull()
    assert isinstance(setup.cache.lookup_or_begin_fill(KEY), FillTicket)


def test_what_is_gained_is_pulled_and_what_it_brings_counts_as_a_hit(setup: Setup) -> None:
    joined: list[FillTicket] = []
    setup.on_ask = lambda: joined.append(_joined(setup))
    setup.pull()
    listing, image = setup.asked
    assert listing.startswith("/keys?partitions=1,3,5,7,9,11,13,15&")
    assert image == "/peer/k1"
    assert isinstance(setup.cache.lookup_or_begin_fill(KEY), Entry)
    assert joined[0].fill.from_previous


def _joined(setup: Setup) -> FillTicket:
    begun = setup.cache.lookup_or_begin_fill(KEY)
    assert isinstance(begun, FillTicket)
    assert not begun.leader, "the fill is registered before its bytes are asked for"
    return begun


def test_a_write_while_the_bytes_are_on_their_way_leaves_nothing_behind(setup: Setup) -> None:
    setup.on_ask = lambda: _told(setup)
    setup.pull()
    assert setup.cache.peek(KEY) is None


def _told(setup: Setup) -> None:
    setup.cache.invalidate_keys("b", [KEY])


def test_a_map_that_takes_the_partition_while_the_bytes_are_on_their_way_leaves_nothing_behind(setup: Setup) -> None:
    def back_and_forth() -> None:
        aborted = abort_resize(OPEN)
        setup.cache.take_map(aborted)
        setup.cache.take_map(open_resize(settle(aborted), alternating(2)))

    setup.on_ask = back_and_forth
    setup.pull()
    assert setup.cache.peek(KEY) is None


@pytest.mark.parametrize("later", [close_resize(OPEN), abort_resize(OPEN)], ids=["close", "abort"])
def test_once_the_map_has_moved_on_nothing_more_is_asked_for(setup: Setup, later: object) -> None:
    assert isinstance(later, type(OPEN))
    setup.on_list = lambda: setup.cache.take_map(later)
    setup.pull()
    assert len(setup.asked) == 1


def test_the_map_may_move_on_at_the_last_moment(setup: Setup) -> None:
    """Between the look whether the pull is over, and the registration."""
    would_keep = setup.cache.would_keep

    def moved_on(size_bytes: int, rank: float) -> bool:
        setup.cache.take_map(close_resize(OPEN))
        return would_keep(size_bytes, rank)

    setup.cache.would_keep = moved_on  # type: ignore[method-assign]
    setup.pull()
    assert len(setup.asked) == 1


def test_renditions_with_the_names_of_protocol_1_are_left_behind(setup: Setup) -> None:
    setup.listed = [f"{KEY}\0thumb", KEY]
    setup.pull()
    assert len(setup.asked) == 2, setup.asked
    assert setup.cache.peek(f"{KEY}\0thumb") is None


def test_what_is_there_or_on_its_way_is_not_asked_for(setup: Setup) -> None:
    begun = setup.cache.lookup_or_begin_fill(KEY)
    assert isinstance(begun, FillTicket)
    setup.pull()
    assert len(setup.asked) == 1


def test_bytes_that_do_not_come_end_the_fill(setup: Setup) -> None:
    def fail() -> None:
        raise Unavailable("gone")

    setup.on_ask = fail
    setup.pull()
    assert setup.cache.statistics()["fills"] == 0
    assert setup.cache.peek(KEY) is None


class RegistersNothing(CoherentCache):
    """A pull without registered fills."""

    def begin_pull_fill(self, key: str, epoch: int) -> Fill | None:
        fill = super().begin_pull_fill(key, epoch)
        if fill is not None:
            with self._lock:
                self._unregister(fill)
        return fill


def test_a_pull_without_registered_fills_is_caught() -> None:
    with pytest.raises(AssertionError):
        test_a_write_while_the_bytes_are_on_their_way_leaves_nothing_behind(Setup(RegistersNothing))
