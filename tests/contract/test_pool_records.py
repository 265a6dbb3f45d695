"""The records of the pool against every database: journal, events, decisions; and what its statements read."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, insert
from testing.clock import Clock
from testing.query_plans import explained, gather_statistics, whole_table_reads

from elastic_images.autoscaler.journal import Journal
from elastic_images.autoscaler.plan import MapChange
from elastic_images.autoscaler.records import append
from elastic_images.autoscaler.scaling.decisions import DecisionLog
from elastic_images.autoscaler.tables import pool_events, resizes, scaling_decisions
from elastic_images.core.assignment import alternating
from elastic_images.core.events import Event
from elastic_images.core.pool_map import close_resize, first_map, open_resize, settle
from elastic_images.core.scaling import Decision
from elastic_images.pool.store import PoolStore
from elastic_images.pool.tables import pool_members
from elastic_images.pool.view import DEAD, LIVE, Member

HOUR = 3600.0
FIRST = first_map(alternating(2))
INPUTS = {"miss_rate": 0.7, "missing": ["node-1"]}


@pytest.fixture
def store(engine: Engine, clock: Clock) -> PoolStore:
    return PoolStore(engine, clock)


@pytest.fixture
def journal(engine: Engine, clock: Clock) -> Journal:
    return Journal(engine, clock)


def node(slot: int, epoch: int = 0) -> Member:
    incarnation = uuid.uuid4().hex
    return Member(
        incarnation, f"node-{slot}", "node", f"127.0.0.1:{4100 + slot}", f"127.0.0.1:{4000 + slot}", epoch=epoch
    )


def test_of_those_who_change_the_map_at_once_one_succeeds(store: PoolStore, journal: Journal) -> None:
    store.compare_and_set_map(None, FIRST)
    opened = open_resize(FIRST, alternating(4))
    change = MapChange("open", opened, "Everybody wants it.")

    def attempt(_: int) -> bool:
        return store.compare_and_set_map(1, opened, journal.record(change, FIRST, 4))

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == [False] * 7 + [True]
    assert len(journal.resizes(10)) == len(journal.events(10)) == 1


def test_members_register_fence_and_die_at_once_without_a_deadlock(store: PoolStore) -> None:
    members = [[node(slot) for _ in range(6)] for slot in range(8)]

    def live(slot: int) -> None:
        for number, member in enumerate(members[slot]):
            store.register(member, replaces=[one.incarnation for one in members[slot][:number]] if number % 2 else [])
            store.name_epoch(member.incarnation, number)
            if number % 3 == 0:
                store.fence(member.incarnation)
                store.mark_dead(member.incarnation)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(live, range(8)))
    assert {member.slot for member in store.read().members} == set(range(8))
    assert store.state_of(members[3][5].incarnation) == LIVE


def test_a_resize_is_journalled_from_its_opening_to_its_end(store: PoolStore, journal: Journal, clock: Clock) -> None:
    opened = open_resize(FIRST, alternating(3))
    closed = close_resize(opened)
    steps = [
        (None, MapChange("first", FIRST, "The pool begins. 😀")),
        (FIRST, MapChange("open", opened, "Three are wanted.")),
        (opened, MapChange("close", closed, "Warm enough.")),
        (closed, MapChange("settle", settle(closed), "All have dropped.")),
    ]
    under_way = []
    for before, change in steps:
        clock.now += 1
        expected = before.epoch if before else None
        assert store.compare_and_set_map(expected, change.new, journal.record(change, before, 3))
        row = journal.under_way()
        under_way.append((row["state"], row["epoch"], row["from"], row["to"]) if row else None)
    assert under_way == [None, ("open", 2, [0, 1], [0, 1, 2]), ("closing", 3, [0, 1], [0, 1, 2]), None]
    newest, oldest = journal.resizes(5)
    assert (newest["outcome"], newest["started_at"], newest["finished_at"]) == ("done", clock.now - 2, clock.now)
    assert oldest["reason"] == "The pool begins. 😀"
    assert journal.last_finished_at() == clock.now
    assert [event["kind"] for event in journal.events(9)] == ["settle", "close", "open", "first"]
    assert [event["kind"] for event in journal.events(2, journal.events(1)[0]["id"])] == ["close", "open"]


def test_decisions_are_kept_with_their_inputs(engine: Engine, clock: Clock) -> None:
    log = DecisionLog(engine, clock)
    log.add(Decision("grow", 2, 4, "The miss rate is 0.7. ↑", INPUTS, "threshold"))
    clock.now += 0.125
    log.add_error(4, "No metrics.")
    error, grown = log.list(5)
    assert (error["action"], error["at"], error["inputs"]) == ("error", clock.now, {})
    assert (grown["reason"], grown["inputs"]) == ("The miss rate is 0.7. ↑", INPUTS)
    assert log.list(5, before=error["id"]) == [grown]


def test_old_records_are_forgotten(engine: Engine) -> None:
    with engine.begin() as connection:
        ids = [append(connection, pool_events, 5, at=0.0, kind="test", message=str(number)) for number in range(20)]
    assert [event["id"] for event in Journal(engine).events(100)] == ids[-5:][::-1]


def test_no_statement_reads_a_whole_table(engine: Engine, store: PoolStore, journal: Journal, clock: Clock) -> None:
    many = 3000
    record = {"started_at": 1.0, "finished_at": 2.0, "state": "finished", "epoch": 1, "wanted": 1}
    words = {"from_slots": "0", "to_slots": "0", "reason": "x" * 100, "outcome": "done"}
    decision = {"at": 1.0, "policy": "threshold", "action": "hold", "nodes_before": 1, "nodes_after": 1}
    with engine.begin() as connection:
        connection.execute(
            insert(pool_members),
            [
                {"incarnation": uuid.uuid4().hex, "id": f"web-{number}", "kind": "web", "address": "a:1"}
                | {"data_address": "", "state": DEAD, "epoch": 0, "registered_at": clock.now}
                for number in range(many)
            ],
        )
        connection.execute(insert(resizes), [record | words] * many)
        connection.execute(insert(pool_events), [{"at": 1.0, "kind": "test", "message": "x" * 100}] * many)
        connection.execute(insert(scaling_decisions), [decision | {"reason": "x" * 100, "inputs": "{}"}] * many)
    gather_statistics(engine, "pool_members", "resizes", "pool_events", "scaling_decisions")
    member, log = node(0), DecisionLog(engine, clock)

    def everything() -> None:
        store.read()
        store.stamp()
        store.register(member, replaces=[node(0).incarnation])
        store.state_of(member.incarnation)
        store.name_epoch(member.incarnation, 4)
        store.compare_and_set_map(None, FIRST, journal.record(MapChange("first", FIRST, "First."), None, 2))
        store.fence(member.incarnation)
        store.mark_dead(member.incarnation)
        journal.note(Event("open", reason="A note."))
        journal.under_way()
        journal.last_finished_at()
        for pages in (journal.resizes, journal.events, log.list):
            pages(10, None)
            pages(10, 1000)
        log.add_error(1, "None.")

    plans = [plan for plan in explained(engine, everything) if "pool_state" not in plan]  # which has one row
    assert len(plans) > 15
    whole = whole_table_reads(engine, plans)
    assert not whole, "\n".join(whole)
