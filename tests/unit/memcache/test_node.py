"""A node's fills: registered before their source is read, and ended whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from elastic_images.core.assignment import alternating
from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.entry import Entry
from elastic_images.core.errors import NotFound, NotMine, Unavailable
from elastic_images.core.fills import FillTicket
from elastic_images.core.pool_map import first_map
from elastic_images.memcache.node import CacheNode
from elastic_images.metrics.counters import Counters

KEY = "k1"


class Setup:
    """A node whose source does what the test says while it is read."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stored = 1
        self.from_previous = False
        self.reads = 0
        self.on_read: Callable[[], None] = lambda: None
        self.cache = CoherentCache(ByteCache(1_000_000), lambda: self.now, slot=0)
        self.cache.start_incarnation("a")
        self.cache.take_map(first_map(alternating(1)))
        self.cache.renew_lease(3.0)
        self.counters = Counters()
        self.node = CacheNode(self.cache, self, self.counters)

    def fetch(self, key: str, partition: int) -> tuple[Entry, bool]:  # noqa: ARG002 - fixed signature
        self.reads += 1
        read = entry(self.stored)
        self.on_read()
        return read, self.from_previous

    def write(self) -> None:
        self.stored += 1
        self.cache.invalidate_keys("a", [KEY])

    def figures(self) -> tuple[float, float]:
        read = self.counters.read()
        return read["hits"], read["misses"]


def entry(version: int) -> Entry:
    return Entry(KEY, b"bytes", content_type="image/png", etag='"e"', version=version, updated_at=0.0)


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_a_fill_is_registered_before_its_source_is_read(setup: Setup) -> None:
    setup.on_read = lambda: _assert_joinable(setup)
    assert setup.node.read_or_fill(KEY).entry.version == 1
    assert setup.reads == 1


def _assert_joinable(setup: Setup) -> None:
    begun = setup.cache.lookup_or_begin_fill(KEY)
    assert isinstance(begun, FillTicket)
    assert not begun.leader


def test_a_write_while_the_source_is_read_leaves_nothing_old_behind(setup: Setup) -> None:
    setup.on_read = lambda: setup.write() if setup.stored == 1 else None
    assert setup.node.read_or_fill(KEY).entry.version == 1, "this read began before the write"
    assert setup.cache.peek(KEY) is None
    assert setup.node.read_or_fill(KEY).entry.version == 2


@pytest.mark.parametrize("error", [NotFound("none"), Unavailable("down"), ValueError("a bug"), KeyboardInterrupt()])
def test_a_fill_ends_whatever_its_source_raises(setup: Setup, error: BaseException) -> None:
    joined: list[FillTicket] = []

    def fail() -> None:
        begun = setup.cache.lookup_or_begin_fill(KEY)
        assert isinstance(begun, FillTicket)
        joined.append(begun)
        raise error

    setup.on_read = fail
    with pytest.raises(type(error)):
        setup.node.read_or_fill(KEY)
    with pytest.raises(type(error) if isinstance(error, Exception) else Unavailable):
        joined[0].fill.wait(0)
    assert setup.cache.statistics()["fills"] == 0
    setup.on_read = lambda: None
    assert setup.node.read_or_fill(KEY).entry.version == 1


def test_hits_and_misses_are_counted_once_each(setup: Setup) -> None:
    assert not setup.node.read_or_fill(KEY).hit
    assert setup.node.read_or_fill(KEY).hit
    assert setup.figures() == (1, 1)
    setup.write()
    setup.from_previous = True
    assert setup.node.read_or_fill(KEY).hit, "from the previous owner is a hit"
    assert setup.figures() == (2, 1)
    setup.now = 3.0
    with pytest.raises(NotMine, match="dark"):
        setup.node.read_or_fill(KEY)
    assert setup.figures() == (2, 1), "what is refused is counted where it is answered"


def test_a_read_that_fails_is_a_miss(setup: Setup) -> None:
    def fail() -> None:
        raise NotFound("none")

    setup.on_read = fail
    with pytest.raises(NotFound):
        setup.node.read_or_fill(KEY)
    assert setup.figures() == (0, 1)


def test_a_reader_that_joined_an_abandoned_pull_fetches_on_its_own(setup: Setup) -> None:
    pull = setup.cache.begin_pull_fill(KEY, 1)
    assert pull is not None
    got: list[int] = []
    reader = threading.Thread(target=lambda: got.append(setup.node.read_or_fill(KEY).entry.version))
    reader.start()
    while not pull._done._cond._waiters:  # type: ignore[attr-defined]
        threading.Event().wait(0.001)
    setup.cache.abandon_fill(pull)
    reader.join(60)
    assert (got, setup.reads) == ([1], 1)
    assert setup.figures() == (0, 1)
