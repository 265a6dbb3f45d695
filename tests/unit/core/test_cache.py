"""The byte-bounded cache against a model that is too simple to be wrong."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from elastic_images.core.cache import ByteCache
from elastic_images.core.entry import OVERHEAD_BYTES, Entry
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.evictions.policies import POLICIES

KEYS = st.sampled_from(["a", "b", "c", "d", "\u00e9", "longer/key"])
UNIT = 1000


def hottest_first(cache: ByteCache) -> list[tuple[Entry, float]]:
    return sorted(cache.ranked(), key=lambda ranked: -ranked[1])


def entry(key: str, body_bytes: int, version: int = 1) -> Entry:
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


def size_of(key: str, body_bytes: int) -> int:
    return len(key.encode()) + body_bytes + OVERHEAD_BYTES


class CacheMachine(RuleBasedStateMachine):
    """Keys from the least to the most recently used, as plain tuples, beside the real cache."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.version = 0

    @initialize(capacity=st.integers(0, 8), policy=st.sampled_from(list(POLICIES)))
    def start(self, capacity: int, policy: str) -> None:
        self.cache = ByteCache(capacity * UNIT, policy, Random(1))
        self.capacity_bytes, self.policy = capacity * UNIT, policy
        self.model: list[Entry] = []

    def find(self, key: str) -> Entry | None:
        return next((one for one in self.model if one.key == key), None)

    def used_bytes(self) -> int:
        return sum(size_of(one.key, len(one.body)) for one in self.model)

    def follow_evictions(self) -> None:
        """Take out of the model what the others took; LRU must have taken the oldest that were needed."""
        if self.policy == "LRU":
            while self.used_bytes() > self.capacity_bytes:
                del self.model[0]
        else:
            self.model = [one for one in self.model if self.cache.peek(one.key) is one]

    @rule(key=KEYS, body=st.integers(0, 9))
    def put(self, key: str, body: int) -> None:
        self.version += 1
        self.now += 1
        new = entry(key, body * UNIT, self.version)
        fits = size_of(key, body * UNIT) <= self.capacity_bytes
        others = self.used_bytes() - (size_of(key, len(old.body)) if (old := self.find(key)) else 0)
        evictions = self.cache.evictions
        assert self.cache.put(new, self.now) == fits
        self.model = [one for one in self.model if one.key != key]
        if fits:
            self.model.append(new)
            if others + size_of(key, body * UNIT) <= self.capacity_bytes:
                assert self.cache.evictions == evictions, "nothing is evicted while there is room"
            self.follow_evictions()
            assert self.cache.peek(key) is new
        else:
            assert self.cache.peek(key) is None, "what it replaces goes, too"

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        self.now += 1
        found = self.find(key)
        assert self.cache.get(key, self.now) is found
        if found is not None:
            self.model.remove(found)
            self.model.append(found)

    @rule(key=KEYS)
    def peek(self, key: str) -> None:
        assert self.cache.peek(key) is self.find(key)

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        found = self.find(key)
        assert self.cache.remove(key) == (found is not None)
        if found is not None:
            self.model.remove(found)

    @rule(letters=st.sets(st.sampled_from("abcd")))
    def remove_where(self, letters: set[str]) -> None:
        gone = [one for one in self.model if one.key in letters]
        assert self.cache.remove_where(lambda entry: entry.key in letters) == len(gone)
        self.model = [one for one in self.model if one not in gone]

    @rule(capacity=st.integers(0, 8))
    def change_capacity(self, capacity: int) -> None:
        self.cache.configure(capacity * UNIT, self.policy)
        self.capacity_bytes = capacity * UNIT
        self.follow_evictions()

    @rule(policy=st.sampled_from(list(POLICIES)))
    def change_policy(self, policy: str) -> None:
        if policy == self.policy:
            return
        self.policy = policy
        order = [one.key for one, _ in hottest_first(self.cache)]
        self.cache.configure(self.capacity_bytes, self.policy)
        assert {one.key for one, _ in hottest_first(self.cache)} == set(order), "nothing is evicted that fits"
        if self.policy == "LRU":
            # The order that the other policy gave counts from now on.
            self.model.sort(key=lambda one: -order.index(one.key))

    @rule(capacity=st.sampled_from([-1, -1000]), policy=st.sampled_from(["LRU", "RR", "FIFO", ""]))
    def refuse(self, capacity: int, policy: str) -> None:
        for wrong_capacity, wrong_policy in ((capacity, policy), (self.capacity_bytes // 2, "FIFO")):
            with pytest.raises(InvalidRequest):
                self.cache.configure(wrong_capacity, wrong_policy)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "cache"):
            return
        assert self.cache.used_bytes == self.used_bytes(), "accounting is exact"
        assert self.cache.used_bytes <= self.cache.capacity_bytes, "I6"
        assert self.cache.capacity_bytes == self.capacity_bytes
        assert len(self.cache) == len(self.model)
        order = [one for one, _ in hottest_first(self.cache)]
        if self.policy == "LRU":
            assert order == list(reversed(self.model))
        else:
            assert sorted(one.key for one in order) == sorted(one.key for one in self.model)


TestCacheAgainstTheModel = CacheMachine.TestCase
TestCacheAgainstTheModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_random_replacement_evicts_any_as_likely_as_any_other() -> None:
    gone = dict.fromkeys("abcd", 0)
    for seed in range(2000):
        cache = ByteCache(4 * size_of("a", 0), "RR", Random(seed))
        for key in "abcd":
            cache.put(entry(key, 0))
            cache.get("a")
        cache.put(entry("e", 0))
        gone[next(key for key in "abcd" if cache.peek(key) is None)] += 1
    assert all(400 < count < 600 for count in gone.values()), gone


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="use one of LRU, RR, GDSF, S3FIFO"):
        ByteCache(1000, "FIFO")


# --- entries that come in with their rank, as a pull brings them


def lru_of(*ages: tuple[str, float], capacity_units: int = 3) -> ByteCache:
    cache = ByteCache(capacity_units * size_of("a", UNIT), "LRU")
    for key, used_at in ages:
        cache.put(entry(key, UNIT), used_at)
    return cache


def keys_of(cache: ByteCache) -> list[str]:
    return [one.key for one, _ in hottest_first(cache)]


def test_an_older_entry_comes_in_where_there_is_room_and_stands_in_its_place() -> None:
    cache = lru_of(("a", 10.0), ("b", 30.0))
    assert cache.has_room(size_of("c", UNIT), 20.0)
    assert cache.put_ranked(entry("c", UNIT), 20.0)
    assert keys_of(cache) == ["b", "c", "a"]


def test_an_older_entry_evicts_colder_ones_only() -> None:
    cache = lru_of(("a", 10.0), ("b", 20.0), ("c", 30.0))
    assert cache.put_ranked(entry("d", UNIT), 15.0)
    assert keys_of(cache) == ["c", "b", "d"]
    assert cache.evictions == 1


@pytest.mark.parametrize("used_at", [5.0, 10.0])
def test_an_entry_that_is_colder_than_all_stays_out(used_at: float) -> None:
    cache = lru_of(("a", 10.0), ("b", 20.0), ("c", 30.0))
    assert not cache.has_room(size_of("d", UNIT), used_at)
    assert not cache.put_ranked(entry("d", UNIT), used_at)
    assert keys_of(cache) == ["c", "b", "a"]
    assert cache.evictions == 0


def test_an_older_entry_that_takes_hotter_ones_evicts_nothing_at_all() -> None:
    cache = lru_of(("a", 10.0), ("b", 20.0), ("c", 30.0))
    assert not cache.put_ranked(entry("d", 4 * UNIT), 25.0)
    assert keys_of(cache) == ["c", "b", "a"]


def test_an_older_entry_larger_than_the_cache_stays_out() -> None:
    cache = lru_of()
    assert not cache.put_ranked(entry("d", 9 * UNIT), 25.0)
    assert cache.used_bytes == 0


def test_random_replacement_takes_an_older_entry_only_where_there_is_room() -> None:
    cache = ByteCache(2 * size_of("a", UNIT), "RR", Random(1))
    cache.put(entry("a", UNIT))
    assert cache.put_ranked(entry("b", UNIT), 5.0)
    assert not cache.put_ranked(entry("c", UNIT), 50.0)
    assert sorted(keys_of(cache)) == ["a", "b"]


def test_what_came_in_out_of_turn_leaves_in_its_turn() -> None:
    """LRU, against a plain sorted list: entries come in with any age, are used, removed, and evicted."""
    chance = Random(7)
    cache = ByteCache(40 * size_of("key-00", UNIT), "LRU")
    used_at: dict[str, float] = {}
    now = 1000.0
    for _ in range(3000):
        now += 1
        key = f"key-{chance.randrange(90):02d}"
        deed = chance.random()
        if deed < 0.4:
            age = chance.choice([5.25, 50.5, 400.75])  # no two uses at the same moment
            colder = sorted((when, name) for name, when in used_at.items() if when < now - age and name != key)
            full = len(used_at.keys() - {key}) == 40
            kept = cache.put_ranked(entry(key, UNIT), now - age)
            used_at.pop(key, None)
            assert kept == (not full or bool(colder))
            if kept and full:
                del used_at[colder[0][1]]
            if kept:
                used_at[key] = now - age
        elif deed < 0.7:
            assert (cache.get(key, now) is not None) == (key in used_at)
            if key in used_at:
                used_at[key] = now
        elif deed < 0.8:
            assert cache.remove(key) == (used_at.pop(key, None) is not None)
        else:
            full = len(used_at.keys() - {key}) == 40
            used_at.pop(key, None)
            if full:
                del used_at[min((when, name) for name, when in used_at.items())[1]]
            cache.put(entry(key, UNIT), now)
            used_at[key] = now
        assert sorted(keys_of(cache)) == sorted(used_at)
        hottest = [when for _, when in hottest_first(cache)]
        assert hottest == sorted(used_at.values(), reverse=True)


# --- entries that somebody else has, too


@pytest.mark.parametrize("policy", ["LRU", "RR"])
def test_demoted_entries_leave_first_whatever_the_policy(policy: str) -> None:
    cache = ByteCache(3 * size_of("a", UNIT), policy, Random(3))
    for number, key in enumerate("abc"):
        cache.put(entry(key, UNIT), float(number))
    cache.demote("c")
    assert cache.has_room(size_of("d", UNIT), -5.0)
    cache.put(entry("d", UNIT), 10.0)
    assert sorted(keys_of(cache)) == ["a", "b", "d"]
    cache.demote("b")
    assert cache.put_ranked(entry("e", UNIT), -5.0)
    assert sorted(keys_of(cache)) == ["a", "d", "e"]


def test_using_an_entry_or_undoing_ends_its_demotion() -> None:
    cache = lru_of(("a", 10.0), ("b", 20.0), ("c", 30.0))
    cache.demote("b")
    cache.get("b", 40.0)
    cache.put(entry("d", UNIT), 50.0)
    assert keys_of(cache) == ["d", "b", "c"]
    cache.demote("d")
    cache.undo_demotions()
    cache.put(entry("e", UNIT), 60.0)
    assert keys_of(cache) == ["e", "d", "b"]


def test_an_entry_that_is_absent_cannot_be_demoted() -> None:
    cache = lru_of(("a", 10.0))
    cache.demote("z")
    cache.remove("a")
    cache.demote("a")
    cache.configure(0, "LRU")
    assert cache.used_bytes == 0
