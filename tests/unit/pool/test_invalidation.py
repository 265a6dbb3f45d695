"""Steps 3 and 4 of a write, with a clock and members that the test makes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pool.pools import node, pool_store, web

from elastic_images.core.assignment import alternating
from elastic_images.core.errors import Conflict, Unavailable
from elastic_images.core.partitions import PARTITIONS, partition_of
from elastic_images.core.pool_map import PartitionState, PoolMap, close_resize, first_map, open_resize
from elastic_images.pool.invalidation import MAX_PATIENCE_SECONDS, Invalidator, rounds
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import (
    DEAD,
    DEAD_AFTER_SECONDS,
    FENCE_AFTER_SECONDS,
    FENCED,
    LEASE_SECONDS,
    LIVE,
    Member,
    PoolView,
)

KEY = "k1"
"""In partition 11: node 0 of one, node 1 of two."""
DEADLINE_SECONDS = 10.0


class Time:
    """A clock that goes on only where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


class Channel:
    """Reaches members as the test says: `on_call` raises, or answers for a member by returning."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.told: list[tuple[str, tuple[str, ...]]] = []
        self.tried: list[str] = []
        self.hung: set[str] = set()
        self.on_call: Callable[[Member], None] = lambda _member: None
        self._lock = threading.Lock()

    def send(self, member: Member, keys: Sequence[str], timeout_seconds: float) -> None:
        with self._lock:
            self.tried.append(member.id)
            hung = member.incarnation in self.hung
        if hung:
            self.time.sleep(timeout_seconds)
            raise Unavailable("no answer in time")
        self.on_call(member)
        with self._lock:
            self.told.append((member.id, tuple(keys)))

    def order(self) -> list[str]:
        return [member for member, _ in self.told]


class Setup:
    def __init__(self, store: PoolStore, kind: type[Invalidator] = Invalidator) -> None:
        self.store, self.time = store, Time()
        self.channel = Channel(self.time)
        self.invalidator = kind(store, self.channel, clock=self.time, sleep=self.time.sleep)

    def put_map(self, pool_map: PoolMap) -> None:
        kept = self.store.read().map
        assert self.store.compare_and_set_map(kept.epoch if kept else None, pool_map)

    def invalidate(self, *keys: str) -> None:
        self.invalidator.invalidate_everywhere(keys or (KEY,), self.time.now + DEADLINE_SECONDS)


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    with pool_store(tmp_path) as store:
        made = Setup(store)
        yield made
        made.invalidator.close()


ONE, TWO = first_map(alternating(1)), open_resize(first_map(alternating(1)), alternating(2))


def register(setup: Setup, *members: Member) -> None:
    for member in members:
        setup.store.register(member)


# --- whom, and in which order


def test_no_pool_is_nobody_to_tell(setup: Setup) -> None:
    setup.invalidate()
    assert setup.channel.told == []


def test_only_the_copies_of_the_partition_are_told(setup: Setup) -> None:
    register(setup, node(0), node(1), node(2))
    setup.put_map(first_map(alternating(2)))
    setup.invalidate()
    assert setup.channel.told == [("node-1", (KEY,))]


def test_the_copies_are_told_in_the_maps_order_and_near_caches_last(setup: Setup) -> None:
    register(setup, web(1), node(1), web(2), node(0))
    setup.put_map(ONE)
    setup.put_map(TWO)
    setup.invalidate()
    assert setup.channel.order()[:2] == ["node-0", "node-1"], "source before destination"
    assert sorted(setup.channel.order()[2:]) == ["web-1", "web-2"]


def test_one_copy_is_told_before_the_next_is_asked(setup: Setup) -> None:
    register(setup, node(0), node(1), web(1))
    setup.put_map(ONE)
    setup.put_map(TWO)
    setup.channel.on_call = lambda member: _assert_told_before(setup, member)
    setup.invalidate()
    assert len(setup.channel.told) == 3


def _assert_told_before(setup: Setup, member: Member) -> None:
    before = {"node-0": [], "node-1": ["node-0"], "web-1": ["node-0", "node-1"]}
    assert setup.channel.order() == before[member.id]


def test_near_caches_are_told_at_once(setup: Setup) -> None:
    register(setup, *(web(number) for number in range(4)))
    all_there = threading.Barrier(4)
    setup.channel.on_call = lambda _member: (all_there.wait(60), None)[1]
    setup.invalidate()
    assert len(setup.channel.told) == 4


def test_every_incarnation_of_a_slot_that_is_not_dead_is_told(setup: Setup) -> None:
    for life in "abcd":
        register(setup, node(0, life))
    setup.store.fence(node(0, "b").incarnation)
    setup.store.mark_dead(node(0, "c").incarnation)
    told: list[str] = []
    setup.channel.on_call = lambda member: told.append(member.incarnation)
    setup.put_map(ONE)
    setup.invalidate()
    assert set(told) == {node(0, life).incarnation for life in "abd"}


def test_the_copies_are_told_while_a_resize_closes(setup: Setup) -> None:
    register(setup, node(0), node(1))
    for pool_map in (ONE, TWO, close_resize(TWO)):
        setup.put_map(pool_map)
    setup.invalidate()
    assert setup.channel.order() == ["node-0", "node-1"]


# --- the pool is read again


def test_all_is_repeated_where_the_map_changed_meanwhile(setup: Setup) -> None:
    register(setup, node(0), node(1), web(1))
    setup.put_map(ONE)

    def open_it(member: Member) -> None:
        if member.id == "web-1" and "web-1" not in setup.channel.order():
            setup.put_map(TWO)

    setup.channel.on_call = open_it
    setup.invalidate()
    assert setup.channel.order() == ["node-0", "web-1", "node-0", "node-1", "web-1"]


def test_all_is_repeated_where_a_member_came_meanwhile(setup: Setup) -> None:
    register(setup, node(0))
    setup.put_map(ONE)

    def somebody_comes(_member: Member) -> None:
        if not setup.channel.told:
            register(setup, web(1))

    setup.channel.on_call = somebody_comes
    setup.invalidate()
    assert setup.channel.order() == ["node-0", "node-0", "web-1"]


def test_nothing_is_repeated_where_nothing_changed(setup: Setup) -> None:
    register(setup, node(0), web(1))
    setup.put_map(ONE)
    setup.invalidate()
    assert setup.channel.order() == ["node-0", "web-1"]


def test_a_pool_that_never_stands_still_ends_at_the_deadline(setup: Setup) -> None:
    register(setup, node(0))
    setup.put_map(ONE)
    lives = iter(range(1000))

    def always_new(_member: Member) -> None:
        setup.time.sleep(0.5)
        life = next(lives)
        new = replace(web(1), incarnation=f"{life:032}")
        setup.store.register(new, replaces=[f"{life - 1:032}"])

    setup.channel.on_call = always_new
    with pytest.raises(Unavailable):
        setup.invalidate()
    assert setup.time.now < DEADLINE_SECONDS + 5


# --- members that do not answer


def state(setup: Setup, member: Member) -> str:
    return setup.store.state_of(member.incarnation)


def test_who_does_not_answer_is_fenced_after_his_time_and_dead_when_his_lease_must_be_over(setup: Setup) -> None:
    register(setup, node(0))
    setup.put_map(ONE)
    setup.channel.hung.add(node(0).incarnation)
    fenced_at = _watch(setup, FENCED)
    setup.invalidate()
    assert state(setup, node(0)) == DEAD
    assert FENCE_AFTER_SECONDS <= fenced_at[0] <= FENCE_AFTER_SECONDS + 0.2
    assert setup.time.now >= fenced_at[0] + DEAD_AFTER_SECONDS
    assert DEAD_AFTER_SECONDS > LEASE_SECONDS
    assert setup.time.now <= FENCE_AFTER_SECONDS + DEAD_AFTER_SECONDS + 1.2, "a hung node holds a write up once"
    assert setup.channel.told == []


def _watch(setup: Setup, wanted: str) -> list[float]:
    """Notes when the member gets into a state, as the sleeps of the invalidator show it."""
    times: list[float] = []
    fence = setup.store.fence

    def noted(incarnation: str) -> bool:
        times.append(setup.time.now)
        return fence(incarnation)

    assert wanted == FENCED
    setup.store.fence = noted  # type: ignore[method-assign]
    return times


def test_the_second_write_waits_for_the_fenced_only_and_the_third_for_nobody(setup: Setup) -> None:
    register(setup, node(0))
    setup.put_map(ONE)
    setup.store.fence(node(0).incarnation)
    setup.channel.hung.add(node(0).incarnation)
    setup.invalidate()
    assert DEAD_AFTER_SECONDS <= setup.time.now <= DEAD_AFTER_SECONDS + 1.2
    before = setup.time.now
    setup.invalidate()
    assert setup.time.now == before


def test_who_answers_late_is_not_fenced(setup: Setup) -> None:
    register(setup, node(0))
    setup.put_map(ONE)

    def slow(_member: Member) -> None:
        if setup.time.now < 0.5:
            setup.time.sleep(0.3)
            raise Unavailable("a moment")

    setup.channel.on_call = slow
    setup.invalidate()
    assert state(setup, node(0)) == LIVE
    assert setup.channel.order() == ["node-0"]


@pytest.mark.parametrize(("speed", "patience"), [(0.5, 2.0), (0.1, MAX_PATIENCE_SECONDS), (0.0, MAX_PATIENCE_SECONDS)])
def test_a_starved_writer_waits_longer_before_it_fences_but_no_longer_than_5_s(
    setup: Setup, speed: float, patience: float
) -> None:
    setup.invalidator._patience_clock = lambda: 70.0 + speed * setup.time.now
    register(setup, node(0))
    setup.put_map(ONE)
    setup.channel.hung.add(node(0).incarnation)
    fenced_at = _watch(setup, FENCED)
    setup.invalidate()
    assert patience <= fenced_at[0] <= patience + 1.2
    assert fenced_at[0] + DEAD_AFTER_SECONDS <= setup.time.now, "leases expire by the real clock"
    assert setup.time.now < DEADLINE_SECONDS


def test_who_answers_although_fenced_is_not_waited_for_and_not_dead(setup: Setup) -> None:
    register(setup, node(0))
    setup.put_map(ONE)
    setup.channel.hung.add(node(0).incarnation)

    def resumed(seconds: float) -> None:
        setup.time.now += seconds
        if state(setup, node(0)) == FENCED:
            setup.channel.hung.clear()

    setup.invalidator._sleep = resumed
    setup.invalidate()
    assert state(setup, node(0)) == FENCED
    assert setup.time.now < FENCE_AFTER_SECONDS + 1.0
    assert setup.channel.order()[-1] == "node-0"


def test_who_is_dead_meanwhile_is_passed_over_at_once(setup: Setup) -> None:
    register(setup, node(0))
    setup.put_map(ONE)

    def refused(member: Member) -> None:
        setup.store.mark_dead(member.incarnation)  # as who has reaped its process does
        raise Unavailable("connection refused")

    setup.channel.on_call = refused
    setup.invalidate()
    assert setup.time.now < 0.2


def test_another_incarnation_at_the_address_is_no_answer(setup: Setup) -> None:
    register(setup, node(0))
    setup.put_map(ONE)

    def another(_member: Member) -> None:
        raise Conflict("this is another incarnation")

    setup.channel.on_call = another
    setup.invalidate()
    assert state(setup, node(0)) == DEAD
    assert setup.time.now >= FENCE_AFTER_SECONDS + DEAD_AFTER_SECONDS


def test_a_hung_near_cache_holds_the_write_up_once_and_the_others_are_told_meanwhile(setup: Setup) -> None:
    register(setup, web(1), web(2))
    setup.channel.hung.add(web(1).incarnation)
    setup.invalidate()
    assert state(setup, web(1)) == DEAD
    assert "web-2" in setup.channel.order()
    before = setup.time.now
    setup.invalidate()
    assert setup.time.now == before


def test_the_deadline_ends_the_waiting_and_nobody_is_dead_before_his_time(setup: Setup) -> None:
    register(setup, node(0))
    setup.put_map(ONE)
    setup.channel.hung.add(node(0).incarnation)
    with pytest.raises(Unavailable):
        setup.invalidator.invalidate_everywhere([KEY], setup.time.now + 2.0)
    assert state(setup, node(0)) == FENCED
    assert setup.time.now < 4.0


def test_the_deadline_is_told_also_where_near_caches_hang(setup: Setup) -> None:
    register(setup, web(1), web(2))
    setup.channel.hung |= {web(1).incarnation, web(2).incarnation}
    with pytest.raises(Unavailable):
        setup.invalidator.invalidate_everywhere([KEY], setup.time.now + 2.0)


# --- several keys at once


def test_keys_of_one_node_are_told_in_one_call(setup: Setup) -> None:
    register(setup, node(0), web(1))
    setup.put_map(ONE)
    setup.invalidate("k1", "k2", "k3")
    assert setup.channel.told == [("node-0", ("k1", "k2", "k3")), ("web-1", ("k1", "k2", "k3"))]


slots = st.permutations(range(4)).flatmap(lambda order: st.integers(1, 4).map(lambda count: tuple(order[:count])))
any_maps = st.lists(slots, min_size=PARTITIONS, max_size=PARTITIONS).map(
    lambda all_copies: PoolMap(1, tuple(PartitionState(copies[-1], None, copies) for copies in all_copies))
)


@given(any_maps, st.lists(st.sampled_from([f"key-{number}" for number in range(40)]), unique=True))
def test_in_rounds_each_partition_keeps_its_own_order(pool_map: PoolMap, keys: list[str]) -> None:
    planned = rounds(keys, pool_map)
    for key in keys:
        told = [slot for one in planned for slot, its_keys in one.items() if key in its_keys]
        assert tuple(told) == pool_map.partitions[partition_of(key)].copies
    assert len(planned) <= 4
    assert all(one for one in planned)


def test_without_a_map_there_are_no_rounds() -> None:
    assert rounds([KEY], None) == []


# --- writers that break a rule are caught: each by a test above


class DestinationFirst(Invalidator):
    def _reach_all(self, keys: Sequence[str], view: PoolView, deadline: float) -> None:
        super()._reach_all(keys, replace(view, map=_reversed(view.map)), deadline)


def _reversed(pool_map: PoolMap | None) -> PoolMap | None:
    if pool_map is None:
        return None
    return PoolMap(pool_map.epoch, tuple(replace(state, copies=state.copies[::-1]) for state in pool_map.partitions))


class NodesInParallel(Invalidator):
    def _reach_all(self, keys: Sequence[str], view: PoolView, deadline: float) -> None:
        told = [self._together.submit(self._reach, member, keys, deadline) for member in reversed(view.members)]
        for one in told:
            one.result()


class WebsFirst(Invalidator):
    def _reach_all(self, keys: Sequence[str], view: PoolView, deadline: float) -> None:
        for member in view.near_caches():
            self._reach(member, keys, deadline)
        nodes = tuple(member for member in view.members if member.slot is not None)
        super()._reach_all(keys, replace(view, members=nodes), deadline)


class ReadsOnce(Invalidator):
    def invalidate_everywhere(self, keys: Sequence[str], deadline: float) -> None:
        self._reach_all(keys, self._store.read(), deadline)


class TellsTheLiveOnly(Invalidator):
    def _reach(self, member: Member, keys: Sequence[str], deadline: float) -> None:
        if member.state == LIVE:
            super()._reach(member, keys, deadline)


class GivesUpAtOnce(Invalidator):
    def _reach(self, member: Member, keys: Sequence[str], deadline: float) -> None:  # noqa: ARG002 - broken
        if not self._confirms(member, keys, FENCE_AFTER_SECONDS):
            self._store.fence(member.incarnation)
            self._store.mark_dead(member.incarnation)


CAUGHT_BY: dict[type[Invalidator], Callable[[Setup], None]] = {
    DestinationFirst: test_one_copy_is_told_before_the_next_is_asked,
    NodesInParallel: test_one_copy_is_told_before_the_next_is_asked,
    WebsFirst: test_one_copy_is_told_before_the_next_is_asked,
    ReadsOnce: test_all_is_repeated_where_the_map_changed_meanwhile,
    TellsTheLiveOnly: test_the_second_write_waits_for_the_fenced_only_and_the_third_for_nobody,
    GivesUpAtOnce: test_who_does_not_answer_is_fenced_after_his_time_and_dead_when_his_lease_must_be_over,
}


@pytest.mark.parametrize("kind", CAUGHT_BY, ids=lambda kind: kind.__name__)
def test_a_writer_that_breaks_a_rule_is_caught(kind: type[Invalidator], tmp_path: Path) -> None:
    with pool_store(tmp_path) as store:
        setup = Setup(store, kind)
        with pytest.raises((AssertionError, IndexError)):
            CAUGHT_BY[kind](setup)
        setup.invalidator.close()


# --- the view at hand


def test_a_view_is_read_once_while_nothing_changes_and_again_when_it_did(setup: Setup) -> None:
    reads: list[str] = []
    read = setup.store.read

    def counted() -> PoolView:
        view = read()
        reads.append(view.stamp)
        return view

    setup.put_map(ONE)
    register(setup, node(0))
    setup.store.read = counted  # type: ignore[method-assign]
    for _ in range(3):
        setup.invalidate()
    assert setup.channel.order() == ["node-0"] * 3
    assert len(reads) == 1
    register(setup, web(1))
    setup.invalidate()
    assert setup.channel.order()[3:] == ["node-0", web(1).id]
    assert len(reads) == 2
