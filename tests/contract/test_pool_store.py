"""The pool in the database, on every kind of database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine, select
from testing.clock import Clock
from tests.unit.pool.pools import node, web

from elastic_images.core.assignment import alternating
from elastic_images.core.pool_map import PoolMap, close_resize, first_map, open_resize, settle
from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine
from elastic_images.pool import tables
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import DEAD, FENCED, LIVE, PoolView

ONE = first_map(alternating(1))
HOUR = 3600.0


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    metadata.create_all(engine, tables=[tables.pool_state, tables.pool_members])
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000_000.0)


@pytest.fixture
def store(engine: Engine, clock: Clock) -> PoolStore:
    return PoolStore(engine, clock)


def test_a_new_pool_is_empty(store: PoolStore) -> None:
    view = store.read()
    assert (view.map, view.members, view.config) == (None, (), {})
    assert view.stamp == store.stamp()


def test_a_view_is_read_back_from_its_json(store: PoolStore) -> None:
    store.compare_and_set_map(None, ONE)
    store.register(node(0))
    store.set_config({"cache_mb": 64, "policy": "LRU"})
    view = store.read()
    assert PoolView.from_json(view.to_json()) == view
    assert view.config == {"cache_mb": 64, "policy": "LRU"}


# --- the map


def test_the_map_is_put_only_where_the_expected_one_is_kept(store: PoolStore) -> None:
    opened = open_resize(ONE, alternating(2))
    assert not store.compare_and_set_map(1, ONE), "none is kept yet"
    assert store.compare_and_set_map(None, ONE)
    assert not store.compare_and_set_map(None, ONE)
    assert not store.compare_and_set_map(2, opened)
    assert store.read().map == ONE
    assert store.compare_and_set_map(1, opened)
    assert store.read().map == opened


def test_of_many_who_change_the_same_map_one_succeeds(store: PoolStore) -> None:
    store.compare_and_set_map(None, ONE)
    start = threading.Barrier(8)

    def change(nodes: int) -> bool:
        start.wait(60)
        return store.compare_and_set_map(1, open_resize(ONE, alternating(nodes + 1)))

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(change, range(8))) == 1
    kept = store.read().map
    assert kept is not None
    assert kept.epoch == 2


def test_a_record_is_written_with_the_change_or_not_at_all(store: PoolStore, engine: Engine) -> None:
    def journal(connection: Connection) -> None:
        connection.execute(tables.pool_members.insert().values(**_row("a" * 32)))

    assert not store.compare_and_set_map(7, ONE, journal)
    assert _incarnations(engine) == []
    assert store.compare_and_set_map(None, ONE, journal)
    assert _incarnations(engine) == ["a" * 32]

    def broken(connection: Connection) -> None:
        connection.execute(tables.pool_members.insert().values(**_row("b" * 32)))
        raise RuntimeError("the disk is full")

    stamp = store.stamp()
    with pytest.raises(RuntimeError):
        store.compare_and_set_map(1, open_resize(ONE, alternating(2)), broken)
    with pytest.raises(RuntimeError):
        store.set_config({"cache_mb": 1}, broken)
    assert _incarnations(engine) == ["a" * 32]
    assert (store.read().map, store.read().config, store.stamp()) == (ONE, {}, stamp)


def _row(incarnation: str) -> dict[str, object]:
    member = replace(node(0), incarnation=incarnation)
    return {
        "incarnation": member.incarnation,
        "id": member.id,
        "kind": member.kind,
        "address": member.address,
        "data_address": member.data_address,
        "state": LIVE,
        "epoch": 0,
        "registered_at": 0.0,
    }


def _incarnations(engine: Engine) -> list[str]:
    with engine.begin() as connection:
        return list(connection.execute(select(tables.pool_members.c.incarnation)).scalars())


# --- members


def test_a_member_is_live_from_its_registration(store: PoolStore, clock: Clock) -> None:
    store.register(replace(node(3), epoch=5, state=FENCED))
    member = store.read().find(node(3).incarnation)
    assert member == replace(node(3), epoch=5, registered_at=clock.now)
    assert store.state_of(node(3).incarnation) == LIVE


def test_registering_again_changes_nothing(store: PoolStore) -> None:
    store.register(node(0))
    store.fence(node(0).incarnation)
    store.register(node(0))
    assert store.state_of(node(0).incarnation) == FENCED, "who is fenced does not come back to life"
    assert len(store.read().members) == 1


def test_a_member_ends_the_earlier_lives_of_its_id_that_it_names_and_no_other(store: PoolStore) -> None:
    store.register(node(0, "a"))
    store.register(node(0, "b"))
    store.register(node(0, "elsewhere"))
    store.fence(node(0, "b").incarnation)
    store.register(node(1))
    store.register(web(1))
    gone = [node(0, "a"), node(0, "b"), node(0, "c"), node(1), web(1)]
    store.register(node(0, "c"), replaces=[member.incarnation for member in gone])
    states = [store.state_of(node(0, life).incarnation) for life in ("a", "b", "c", "elsewhere")]
    assert states == [DEAD, DEAD, LIVE, LIVE], "on another machine the same id may live on"
    assert {member.id for member in store.read().members} == {"node-0", "node-1", "web-1"}


def test_a_registration_that_was_given_up_and_comes_late_is_dead(store: PoolStore) -> None:
    """Else a life that nobody lives would hold up the first write, until it is fenced and its lease over."""
    store.register(node(0, "b"), replaces=[node(0, "a").incarnation])
    store.register(node(0, "a"))
    assert store.state_of(node(0, "a").incarnation) == DEAD
    assert [member.incarnation for member in store.read().members] == [node(0, "b").incarnation]
    store.register(node(0, "c"), replaces=[node(0, life).incarnation for life in ("a", "b", "d")])
    assert [member.incarnation for member in store.read().members] == [node(0, "c").incarnation]


def test_the_way_of_a_member_goes_one_way(store: PoolStore) -> None:
    incarnation = node(0).incarnation
    assert not store.fence(incarnation), "unknown"
    store.register(node(0))
    assert store.fence(incarnation)
    assert not store.fence(incarnation)
    assert store.mark_dead(incarnation)
    assert not store.mark_dead(incarnation)
    assert not store.fence(incarnation)
    assert store.state_of(incarnation) == DEAD
    assert store.state_of("f" * 32) == "unknown"


def test_the_dead_are_not_in_the_view_and_the_fenced_are(store: PoolStore) -> None:
    for slot in range(3):
        store.register(node(slot))
    store.fence(node(1).incarnation)
    store.mark_dead(node(2).incarnation)
    view = store.read()
    assert [(member.slot, member.state) for member in view.members] == [(0, LIVE), (1, FENCED)]
    assert view.live_node(0) is not None
    assert view.live_node(1) is None, "reads do not go to the fenced"
    assert [member.slot for member in view.incarnations(1)] == [1], "invalidations do"


def test_reads_go_to_the_newest_life(store: PoolStore, clock: Clock) -> None:
    for life in "cab":
        clock.now += 1
        store.register(node(0, life))
    newest = store.read().live_node(0)
    assert newest is not None
    assert newest.incarnation == node(0, "b").incarnation
    assert [member.incarnation[1] for member in store.read().incarnations(0)] == ["c", "a", "b"]


def test_an_epoch_is_named_and_never_goes_back(store: PoolStore) -> None:
    store.register(node(0))
    for epoch, named in ((3, 3), (2, 3), (4, 4)):
        store.name_epoch(node(0).incarnation, epoch)
        member = store.read().find(node(0).incarnation)
        assert member is not None
        assert member.epoch == named
    store.name_epoch("f" * 32, 9)


def test_the_dead_of_long_ago_are_forgotten(store: PoolStore, clock: Clock) -> None:
    store.register(node(0))
    store.register(node(1))
    store.mark_dead(node(0).incarnation)
    clock.now += HOUR / 2
    store.register(node(2))
    assert store.state_of(node(0).incarnation) == DEAD
    clock.now += HOUR
    store.register(node(3))
    assert store.state_of(node(0).incarnation) == "unknown"
    assert store.state_of(node(1).incarnation) == LIVE, "however old the living are"


# --- stamps


def test_each_change_that_a_writer_must_see_changes_the_stamp(store: PoolStore) -> None:
    def changed(change: object) -> bool:
        before = store.stamp()
        assert callable(change)
        change()
        return store.stamp() != before

    assert changed(lambda: store.compare_and_set_map(None, ONE))
    assert changed(lambda: store.register(node(0)))
    assert changed(lambda: store.fence(node(0).incarnation))
    assert changed(lambda: store.mark_dead(node(0).incarnation))
    assert changed(lambda: store.set_config({"cache_mb": 64}))
    assert changed(lambda: store.register(node(0, "b"), replaces=[node(0).incarnation]))
    assert not changed(store.read)
    assert not changed(lambda: store.name_epoch(node(0, "b").incarnation, 1)), "a writer need not begin anew for that"
    assert not changed(lambda: store.compare_and_set_map(9, ONE))


def test_a_stamp_is_never_older_than_the_members_that_come_with_it(store: PoolStore) -> None:
    """Where members change all the while, whoever sees the same stamp twice has seen all that came before the first."""
    done = threading.Event()

    def come_and_go() -> None:
        for number in range(60):
            store.register(replace(node(0), incarnation=f"{number:032}"), replaces=[f"{number - 1:032}"])
        done.set()

    with ThreadPoolExecutor(1) as threads:
        changing = threads.submit(come_and_go)
        newest = -1
        while not done.is_set():
            view = store.read()
            if view.members:
                assert len(view.members) == 1
                seen = int(view.members[0].incarnation)
                assert seen >= newest
                newest = seen
                # The registration of number n is change n + 1.
                assert int(view.stamp) <= seen + 1
        changing.result()


def test_many_change_the_pool_at_once(store: PoolStore) -> None:
    store.compare_and_set_map(None, ONE)

    def live(number: int) -> None:
        member = replace(node(number % 4), incarnation=f"{number:032}")
        store.register(member)
        store.name_epoch(member.incarnation, 1)
        store.read()
        if number % 2:
            store.fence(member.incarnation)
            store.mark_dead(member.incarnation)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(live, range(40)))
    view = store.read()
    assert len(view.members) == 20
    assert all((member.state, member.epoch) == (LIVE, 1) for member in view.members)


def test_a_whole_resize_goes_through_the_store(store: PoolStore) -> None:
    steps: list[PoolMap] = [ONE, open_resize(ONE, alternating(2))]
    steps.append(close_resize(steps[-1]))
    steps.append(settle(steps[-1]))
    for before, after in zip([None, *steps], steps, strict=False):
        assert store.compare_and_set_map(before.epoch if before else None, after)
        assert store.read().map == after
