"""A node's fills: registered before their source is read, and ended whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from testing.imaging import PretendImaging, rendered

from elastic_images.core.assignment import alternating
from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.entry import Entry
from elastic_images.core.errors import NotFound, NotMine, TooLarge, Unavailable
from elastic_images.core.fills import FillTicket
from elastic_images.core.pool_map import first_map
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.core.renditions import rendition_name
from elastic_images.imaging.imaging import Priority
from elastic_images.memcache.node import CacheNode, Found
from elastic_images.memcache.renditions import RenditionMaker
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.rendition_figures import RenditionFigures

KEY = "k1"
SPEC = RenditionSpec(400, format="webp")
NAME = rendition_name(KEY, SPEC)
OTHER_NAME = rendition_name(KEY, RenditionSpec(500))
WAIT_SECONDS = 60.0


class Setup:
    """A node whose source does what the test says while it is read."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stored = 1
        self.previous_has_it = False
        self.reads = 0
        self.on_read: Callable[[], None] = lambda: None
        self.cache = CoherentCache(ByteCache(1_000_000), lambda: self.now, slot=0)
        self.cache.start_incarnation("a")
        self.cache.take_map(first_map(alternating(1)))
        self.cache.renew_lease(3.0)
        self.counters = Counters()
        self.imaging = PretendImaging()
        self.peer: dict[str, Entry] = {}
        self.node = CacheNode(
            self.cache,
            self,
            RenditionMaker(self.cache, self, self.imaging, RenditionFigures(self.counters)),
            self.counters,
        )

    def from_previous(self, name: str, partition: int) -> Entry | None:  # noqa: ARG002 - fixed signature
        return self.peer.get(name)

    def fetch(self, name: str, partition: int) -> tuple[Entry, bool]:  # noqa: ARG002 - fixed signature
        self.reads += 1
        read = entry(self.stored, name)
        self.on_read()
        return read, self.previous_has_it

    def write(self) -> None:
        self.stored += 1
        self.cache.invalidate_keys("a", [KEY])

    def figures(self) -> tuple[float, float]:
        read = self.counters.read()
        return read["hits"], read["misses"]


def entry(version: int, name: str = KEY) -> Entry:
    body = b"version %d" % version
    return Entry(
        name,
        body,
        content_type="image/png",
        etag=f'"{version}"',
        version=version,
        updated_at=0.0,
        visibility="public",
        owner_id=None,
    )


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
    setup.previous_has_it = True
    assert setup.node.read_or_fill(KEY).hit, "from the previous owner is a hit"
    assert setup.figures() == (2, 1)
    setup.now = 3.0
    with pytest.raises(NotMine, match="dark"):
        setup.node.read_or_fill(KEY)
    assert setup.figures() == (2, 1), "what is refused is counted where it is answered"


@pytest.mark.parametrize(("error", "figures"), [(Unavailable("away"), (0, 1)), (NotFound("none"), (0, 0))])
def test_a_read_that_fails_is_a_miss_unless_there_is_no_image(
    setup: Setup, error: Exception, figures: tuple[int, int]
) -> None:
    def fail() -> None:
        raise error

    setup.on_read = fail
    with pytest.raises(type(error)):
        setup.node.read_or_fill(KEY)
    assert setup.figures() == figures
    assert setup.counters.read().get("not_found", 0) == isinstance(error, NotFound)


def test_those_who_join_a_fill_have_a_hit_that_took_longer(setup: Setup) -> None:
    found: list[Found] = []
    reader = threading.Thread(target=lambda: found.append(setup.node.read_or_fill(KEY)))

    def let_one_join() -> None:
        reader.start()
        fill = setup.cache._fills[KEY]
        while not fill._done._cond._waiters:  # type: ignore[attr-defined]
            threading.Event().wait(0.001)

    setup.on_read = let_one_join
    assert not setup.node.read_or_fill(KEY).hit
    reader.join()
    assert [one.hit for one in found] == [True]
    assert setup.figures() == (1, 1)


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


# --- renditions


def make(setup: Setup, name: str = NAME) -> Entry:
    return setup.node.read_or_make(name, Priority.STRANGER_RENDITION).entry


def sources(setup: Setup) -> tuple[float, float, float]:
    """Hits, and misses that were made of an original in memory, or stored."""
    read = setup.counters.read()
    assert read["requests"] == read["hits"] + read["misses"]
    return read["hits"], read["made"], read["stored"]


def test_a_rendition_is_made_of_the_original_and_both_are_kept(setup: Setup) -> None:
    made = make(setup)
    assert made.body == rendered(b"version 1", SPEC)
    assert (made.version, made.original, made.content_type) == (1, "1", "image/webp")
    assert setup.reads == 1
    assert make(setup) is made
    make(setup, OTHER_NAME)
    assert setup.reads == 1, "the original was kept"
    assert sources(setup) == (1, 1, 1)
    assert setup.cache._cache._demoted.keys() == {KEY}, "as the first to go"


def test_the_fills_of_rendition_and_original_are_registered_before_the_source_is_read(setup: Setup) -> None:
    joined: list[FillTicket] = []

    def join() -> None:
        for name in (NAME, KEY):
            begun = setup.cache.lookup_or_begin_fill(name)
            assert isinstance(begun, FillTicket)
            joined.append(begun)

    setup.on_read = join
    made = make(setup)
    assert [ticket.leader for ticket in joined] == [False, False]
    assert joined[0].fill.wait(0) is made
    assert joined[1].fill.wait(0).body == b"version 1"


@pytest.mark.parametrize("moment", ["on_read", "on_render"])
def test_a_write_while_a_rendition_is_made_leaves_nothing_old_behind(setup: Setup, moment: str) -> None:
    def write() -> None:
        if setup.stored == 1:
            setup.write()

    setattr(setup if moment == "on_read" else setup.imaging, moment, write)
    assert make(setup).version == 1, "this read began before the write"
    assert setup.cache.peek(NAME) is None
    assert make(setup).version == 2
    assert setup.node.read_or_fill(KEY).entry.version == 2


def test_in_a_resize_the_previous_owner_is_asked_for_the_rendition_itself(setup: Setup) -> None:
    setup.peer[NAME] = entry(1, NAME)
    found = setup.node.read_or_make(NAME, Priority.STRANGER_RENDITION)
    assert found.hit
    assert found.entry is setup.peer[NAME]
    assert (setup.reads, setup.imaging.made) == (0, [])
    assert sources(setup) == (1, 0, 0)


def test_a_rendition_whose_original_the_previous_owner_has_is_made_of_memory(setup: Setup) -> None:
    setup.previous_has_it = True
    make(setup)
    assert sources(setup) == (0, 1, 0)


def test_a_rendition_is_made_once_however_many_ask(setup: Setup) -> None:
    setup.imaging.gate.clear()
    got: list[Entry] = []
    readers = [threading.Thread(target=lambda: got.append(make(setup))) for _ in range(20)]
    for reader in readers:
        reader.start()
    while len(_waiters(setup, NAME)) < 19:
        threading.Event().wait(0.001)
    setup.imaging.gate.set()
    for reader in readers:
        reader.join(WAIT_SECONDS)
    assert len({id(entry) for entry in got}) == 1
    assert len(got) == 20
    assert len(setup.imaging.made) == 1


def _waiters(setup: Setup, name: str) -> list[object]:
    fill = setup.cache._fills.get(name)
    return [] if fill is None else list(fill._done._cond._waiters)  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [Unavailable("busy"), TooLarge("IMAGING_MEMORY_MB"), ValueError("a bug")])
def test_a_rendition_that_cannot_be_made_leaves_no_fill(setup: Setup, error: Exception) -> None:
    setup.imaging.error = error
    with pytest.raises(type(error)):
        make(setup)
    assert setup.cache.statistics()["fills"] == 0
    setup.imaging.error = None
    assert make(setup).version == 1


def test_without_an_image_there_is_no_rendition(setup: Setup) -> None:
    def fail() -> None:
        raise NotFound("none")

    setup.on_read = fail
    with pytest.raises(NotFound):
        make(setup)
    assert setup.cache.statistics()["fills"] == 0


def test_a_maker_is_more_patient_than_the_reader_of_an_original_whom_it_joined(setup: Setup) -> None:
    reading = setup.cache.lookup_or_begin_fill(KEY)
    assert isinstance(reading, FillTicket)
    got: list[Entry] = []
    maker = threading.Thread(target=lambda: got.append(make(setup)))
    maker.start()
    while not _waiters(setup, KEY):
        threading.Event().wait(0.001)
    setup.cache.fail_fill(reading.fill, Unavailable("storage is slow"))
    maker.join(WAIT_SECONDS)
    assert [entry.version for entry in got] == [1]


def test_without_a_cache_storage_makes_it_and_nothing_is_kept(setup: Setup) -> None:
    setup.cache.configure(0, "LRU")
    assert make(setup).key == NAME
    assert setup.imaging.made == []
    assert setup.cache.peek(NAME) is None
    assert setup.cache.statistics()["items"] == 0
