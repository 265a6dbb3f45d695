"""What `CoherentCache` does, call by call; whether it keeps the fill rule is in `test_fill_rule`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from random import Random

import pytest

from elastic_images.core.assignment import alternating
from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache, Refusal
from elastic_images.core.entry import Entry
from elastic_images.core.errors import Conflict, InvalidRequest, Unavailable
from elastic_images.core.fills import Fill, FillTicket
from elastic_images.core.pool_map import close_resize, first_map, open_resize

KEY = "k1"
LEASE_SECONDS = 3.0
ONE = first_map(alternating(1))


class Setup:
    def __init__(self, *, slot: int | None = 0, capacity_bytes: int = 1_000_000) -> None:
        self.now = 0.0
        self.cache = CoherentCache(ByteCache(capacity_bytes), lambda: self.now, slot=slot)
        self.cache.start_incarnation("a")
        self.cache.take_map(ONE)
        self.cache.renew_lease(LEASE_SECONDS)

    def fill(self, key: str = KEY) -> Fill:
        begun = self.cache.lookup_or_begin_fill(key)
        assert isinstance(begun, FillTicket)
        assert begun.leader
        return begun.fill

    def keep(self, key: str = KEY) -> Entry:
        made = entry(key)
        assert self.cache.complete_fill(self.fill(key), made)
        return made


def entry(key: str = KEY, version: int = 1, body_bytes: int = 10) -> Entry:
    return Entry(
        key,
        b"x" * body_bytes,
        content_type="image/png",
        etag='"e"',
        version=version,
        updated_at=0.0,
        visibility="public",
        owner_id=None,
    )


@pytest.fixture
def setup() -> Setup:
    return Setup()


# --- fills


def test_the_first_leads_and_the_others_wait_for_him(setup: Setup) -> None:
    first = setup.cache.lookup_or_begin_fill(KEY)
    later = [setup.cache.lookup_or_begin_fill(KEY) for _ in range(3)]
    assert isinstance(first, FillTicket)
    assert first.leader
    assert all(isinstance(one, FillTicket) and not one.leader and one.fill is first.fill for one in later)
    made = entry()
    assert setup.cache.complete_fill(first.fill, made)
    assert first.fill.wait(0) is made
    assert setup.cache.lookup_or_begin_fill(KEY) is made


def test_a_fill_that_fails_gives_everyone_its_error_and_leaves_nothing(setup: Setup) -> None:
    fill = setup.fill()
    setup.cache.fail_fill(fill, Unavailable("storage is down"))
    for _ in range(2):
        with pytest.raises(Unavailable, match="storage is down"):
            fill.wait(0)
    assert setup.fill() is not fill


def test_who_waits_in_vain_is_told_so(setup: Setup) -> None:
    with pytest.raises(Unavailable, match="too long"):
        setup.fill().wait(0.01)


def test_what_is_passed_on_is_not_kept(setup: Setup) -> None:
    fill, made = setup.fill(), entry()
    setup.cache.release_fill(fill, made)
    assert fill.wait(0) is made
    assert setup.cache.peek(KEY) is None


def test_what_does_not_fit_is_given_and_not_kept() -> None:
    setup = Setup(capacity_bytes=2000)
    fill, large = setup.fill(), entry(body_bytes=3000)
    assert not setup.cache.complete_fill(fill, large)
    assert fill.wait(0) is large
    assert setup.cache.peek(KEY) is None


def test_a_spoiled_fill_still_answers_those_who_joined_it(setup: Setup) -> None:
    fill, old = setup.fill(), entry()
    setup.cache.invalidate_keys("a", [KEY])
    assert not setup.cache.complete_fill(fill, old)
    assert fill.wait(0) is old
    assert setup.cache.peek(KEY) is None


def test_at_most_one_unspoiled_fill_for_a_key(setup: Setup) -> None:
    fills = []
    for _ in range(5):
        fills.append(setup.fill())
        assert setup.cache.statistics()["fills"] == 1
        setup.cache.invalidate_keys("a", [KEY])
    assert setup.cache.statistics()["fills"] == 0
    assert all(fill.spoiled for fill in fills)


def test_a_pull_begins_only_for_what_is_ours_not_there_and_not_on_its_way(setup: Setup) -> None:
    pull = setup.cache.begin_pull_fill(KEY, 1)
    assert pull is not None
    assert setup.cache.begin_pull_fill(KEY, 1) is None, "on its way"
    joined = setup.cache.lookup_or_begin_fill(KEY)
    assert isinstance(joined, FillTicket)
    assert joined.fill is pull
    assert setup.cache.complete_pull_fill(pull, entry(), -60.0)
    assert setup.cache.begin_pull_fill(KEY, 1) is None, "there"
    assert setup.cache.begin_pull_fill("other", 2) is None, "another map"
    setup.now = LEASE_SECONDS
    assert setup.cache.begin_pull_fill("other", 1) is None, "dark"


def test_a_pull_keeps_what_is_hotter() -> None:
    room_for_two = 2 * entry("a").size_bytes
    setup = Setup(capacity_bytes=room_for_two)
    setup.keep("a")
    setup.now = 1.0
    setup.keep("b")
    assert setup.cache.would_keep(entry("c").size_bytes, 0.5)
    assert not setup.cache.would_keep(entry("c").size_bytes, -1.0)
    pull = setup.cache.begin_pull_fill("c", 1)
    assert pull is not None
    assert not setup.cache.complete_pull_fill(pull, entry("c"), -1.0)
    again = setup.cache.begin_pull_fill("c", 1)
    assert again is not None
    assert setup.cache.complete_pull_fill(again, entry("c"), 0.5)
    assert [one.key for one, _ in setup.cache.entries(frozenset(range(16)))[:9]] == ["b", "c"]


# --- who may read


def test_before_its_first_lease_a_cache_is_dark() -> None:
    cache = CoherentCache(ByteCache(1000), lambda: 0.0, slot=0)
    assert cache.dark
    assert cache.epoch == 0
    assert cache.lookup_or_begin_fill(KEY) is Refusal.DARK
    cache.renew_lease(1.0)
    assert cache.lookup_or_begin_fill(KEY) is Refusal.NOT_MINE, "no map, no part"


def test_a_lease_ends_at_its_moment_and_only_grows(setup: Setup) -> None:
    setup.keep()
    setup.cache.renew_lease(1.0)
    setup.now = LEASE_SECONDS - 0.001
    assert isinstance(setup.cache.lookup_or_begin_fill(KEY), Entry)
    assert setup.cache.lookup(KEY) is not None
    setup.now = LEASE_SECONDS
    assert setup.cache.lookup_or_begin_fill(KEY) is Refusal.DARK
    assert setup.cache.peek(KEY) is Refusal.DARK
    assert setup.cache.lookup(KEY) is None
    setup.cache.renew_lease(2 * LEASE_SECONDS)
    assert isinstance(setup.cache.lookup_or_begin_fill(KEY), Entry), "it was told of everything meanwhile"


def test_the_lease_is_checked_by_the_clock_at_each_look(setup: Setup) -> None:
    looks: list[float] = []
    setup.keep()
    setup.cache._clock = lambda: looks.append(0.0) or 0.0  # type: ignore[func-returns-value]
    for look in (setup.cache.lookup_or_begin_fill, setup.cache.peek, setup.cache.lookup):
        before = len(looks)
        look(KEY)
        assert len(looks) > before


def test_a_near_cache_takes_every_partition_whatever_the_map() -> None:
    near = Setup(slot=None)
    kept = {key: near.keep(key) for key in ("k1", "k2", "k3", "k4")}
    for pool_map in (open_resize(ONE, alternating(8)), close_resize(open_resize(ONE, alternating(8)))):
        near.cache.take_map(pool_map)
        assert all(near.cache.lookup_or_begin_fill(key) is made for key, made in kept.items())


def test_a_node_answers_for_what_its_map_gives_it(setup: Setup) -> None:
    opened = open_resize(ONE, alternating(2))
    for key in ("k1", "k2"):
        setup.keep(key)
    setup.cache.take_map(opened)
    assert isinstance(setup.cache.lookup_or_begin_fill("k1"), Entry), "the previous owner may still answer"
    setup.cache.take_map(close_resize(opened))
    assert setup.cache.lookup_or_begin_fill("k1") is Refusal.NOT_MINE
    assert isinstance(setup.cache.lookup_or_begin_fill("k2"), Entry), "what it keeps, it keeps warm"
    assert setup.cache.epoch == 3


def test_stale_bytes_end_some_time_after_the_lease(setup: Setup) -> None:
    setup.keep()
    setup.now = LEASE_SECONDS + 9.9
    assert setup.cache.peek_stale(KEY, 10.0) is not None
    assert setup.cache.peek_stale("other", 10.0) is None
    setup.now = LEASE_SECONDS + 10.0
    assert setup.cache.peek_stale(KEY, 10.0) is None
    assert setup.cache.peek_stale(KEY, 0.0) is None


# --- being told


def test_an_invalidation_drops_what_is_named_and_nothing_else(setup: Setup) -> None:
    for key in ("a", "b", "c"):
        setup.keep(key)
    assert setup.cache.invalidate_keys("a", ["a", "c", "unknown"]) == 2
    assert [setup.cache.peek(key) is None for key in ("a", "b", "c")] == [True, False, True]
    assert setup.cache.statistics()["invalidations"] == 2


def test_an_invalidation_drops_the_renditions_too(setup: Setup) -> None:
    for name in ("a", "a\0thumb", "a\0preview", "ab"):
        setup.keep(name)
    pending = setup.fill("c\0thumb")
    setup.cache.invalidate_keys("a", ["a", "c"])
    assert [setup.cache.peek(name) is None for name in ("a", "a\0thumb", "a\0preview", "ab")] == [
        True,
        True,
        True,
        False,
    ]
    assert pending.spoiled


@pytest.mark.parametrize("call", ["invalidate_keys", "clear"])
def test_another_incarnation_is_a_conflict_and_nothing_changes(setup: Setup, call: str) -> None:
    setup.keep()
    pending = setup.fill("other")
    arguments: list[object] = ["b", [KEY, "other"]] if call == "invalidate_keys" else ["b"]
    with pytest.raises(Conflict):
        getattr(setup.cache, call)(*arguments)
    assert setup.cache.peek(KEY) is not None
    assert not pending.spoiled


def test_clearing_drops_and_spoils_everything(setup: Setup) -> None:
    setup.keep()
    pending = setup.fill("other")
    assert setup.cache.clear("a") == 1
    assert pending.spoiled
    assert setup.cache.statistics()["items"] == 0


def test_a_capacity_is_changed_by_evicting_to_fit(setup: Setup) -> None:
    for number in range(10):
        setup.now += 0.01
        setup.keep(f"key-{number}")
    setup.cache.configure(3 * entry("key-0").size_bytes, "LRU")
    assert [one.key for one, _ in setup.cache.entries(frozenset(range(16)))[:9]] == ["key-9", "key-8", "key-7"]
    with pytest.raises(InvalidRequest):
        setup.cache.configure(-1, "LRU")
    with pytest.raises(InvalidRequest):
        setup.cache.configure(1, "FIFO")
    assert setup.cache.statistics()["items"] == 3


# --- many threads


class Disk:
    """Versions by key, as storage has them: a write commits, then tells the caches, then is acknowledged."""

    def __init__(self, keys: list[str]) -> None:
        self.stored = dict.fromkeys(keys, 0)
        self.acknowledged = dict.fromkeys(keys, 0)


@pytest.fixture
def switching_often() -> Iterator[None]:
    """Threads take turns every 10 us in place of 5 ms, so that they meet in the midst of things."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switching_often")
@pytest.mark.parametrize("policy", ["LRU", "RR"])
def test_under_many_threads_no_read_is_older_than_what_was_acknowledged_before_it(policy: str) -> None:
    """Readers, writers, evictions, maps and lapses at once, a fixed number of steps each."""
    keys = [f"key-{number}" for number in range(12)]
    cache = CoherentCache(ByteCache(6 * entry("key-0").size_bytes, policy), lambda: 0.0, slot=0)
    cache.start_incarnation("a")
    cache.take_map(ONE)
    cache.renew_lease(1.0)
    disk = Disk(keys)
    stale: list[str] = []
    errors: list[BaseException] = []

    def read(random: Random) -> None:
        key = random.choice(keys)
        floor = disk.acknowledged[key]
        begun = cache.lookup_or_begin_fill(key)
        if isinstance(begun, FillTicket):
            if begun.leader:
                found = entry(key, disk.stored[key])
                if random.random() < 0.1:
                    cache.fail_fill(begun.fill, Unavailable("no luck"))
                    return
                cache.complete_fill(begun.fill, found)
            try:
                begun = begun.fill.wait(60)
            except Unavailable:
                return
        if isinstance(begun, Entry) and begun.version < floor:
            stale.append(f"{key}: {begun.version} < {floor}")

    def write(random: Random) -> None:
        # Each writer has keys of its own: one write of a key at a time, as the row's lock has it.
        key = random.choice(mine[threading.current_thread().name])
        disk.stored[key] += 1
        version = disk.stored[key]
        cache.invalidate_keys("a", [key])
        disk.acknowledged[key] = version

    def disturb(random: Random) -> None:
        cache.configure(random.randint(2, 8) * entry("key-0").size_bytes, policy)
        assert int(cache.statistics()["bytes"]) <= int(cache.statistics()["capacity_bytes"])
        if random.random() < 0.2:
            cache.clear("a")
        cache.entries(frozenset(range(16)))[:5]

    def repeat(step: Callable[[Random], None], times: int, seed: int) -> None:
        random = Random(seed)
        try:
            for _ in range(times):
                step(random)
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    mine = {"writer-0": keys[::2], "writer-1": keys[1::2]}
    work = [(f"reader-{n}", read, 3000) for n in range(6)] + [(name, write, 2000) for name in mine]
    work.append(("disturber", disturb, 300))
    threads = [
        threading.Thread(target=repeat, name=name, args=(step, times, seed))
        for seed, (name, step, times) in enumerate(work)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    assert not stale, stale[:5]
    assert cache.statistics()["fills"] == 0, "every fill has ended"


def test_a_fill_under_many_threads_is_one_and_frees_all() -> None:
    setup = Setup()
    start = threading.Barrier(16)
    led: list[Fill] = []
    got: list[Entry] = []

    def ask() -> None:
        start.wait(60)
        begun = setup.cache.lookup_or_begin_fill(KEY)
        assert isinstance(begun, FillTicket)
        if begun.leader:
            led.append(begun.fill)
        got.append(begun.fill.wait(60))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    while not led or len(led[0]._done._cond._waiters) < 16:  # type: ignore[attr-defined]
        threading.Event().wait(0.001)
    made = entry()
    setup.cache.complete_fill(led[0], made)
    for thread in threads:
        thread.join(60)
    assert (len(led), got) == (1, [made] * 16)
