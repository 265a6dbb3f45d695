"""The plan, over every phase and every way in which the slots can stand."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.autoscaler.plan import Facts, plan, target_assignment
from elastic_images.core.assignment import ASSIGNMENTS, alternating, deal, moves
from elastic_images.core.pool_map import PoolMap, abort_resize, close_resize, fail_over, first_map, open_resize, settle

SLOTS = st.frozensets(st.integers(0, 7))


def steps_of(before: int, after: int) -> list[PoolMap]:
    settled = first_map(alternating(before))
    opened = open_resize(settled, alternating(after))
    closed = close_resize(opened)
    return [settled, opened, closed, settle(closed), abort_resize(opened), fail_over(opened, {0}, (1,) * 16)]


MAPS = [None, *(step for sizes in ((1, 2), (2, 4), (4, 2), (8, 3)) for step in steps_of(*sizes))]


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    ready = draw(SLOTS)
    processes = ready | draw(SLOTS)
    stopping = draw(SLOTS) & processes - ready
    doubtful = draw(SLOTS) & processes - ready
    return Facts(
        map=draw(st.sampled_from(MAPS)),
        wanted=draw(st.integers(1, 8)),
        ready=ready,
        doubtful=doubtful,
        fenced=doubtful & draw(SLOTS),
        unnamed=draw(SLOTS),
        processes=processes,
        startable=draw(SLOTS) - processes,
        awaited=draw(SLOTS) - ready,
        stopping=stopping,
        cold=draw(st.booleans()),
        warmed=draw(st.booleans()),
        resize_wanted=draw(st.none() | st.integers(1, 8)),
        assignment=draw(st.sampled_from(ASSIGNMENTS)),
    )


@given(facts())
def test_every_plan_is_sound(now: Facts) -> None:
    planned = plan(now)
    in_map = now.map.slots if now.map else frozenset()
    assert planned.launch <= now.slots - now.processes
    assert not planned.retire & (now.slots | in_map | now.stopping)
    assert planned.retire <= now.processes
    if planned.change is None:
        return
    after = planned.change.new
    assert after.epoch == (now.map.epoch + 1 if now.map else 1)
    assert planned.change.reason
    if planned.change.kind in ("first", "open"):
        # Nobody is given a partition before he is ready to serve it.
        owned = now.map.assignment if now.map else (None,) * 16
        gained = {new for new, old in zip(after.assignment, owned, strict=True) if new != old}
        assert gained <= now.ready & now.slots
    if planned.change.kind == "fail-over":
        assert now.ready
    if planned.change.kind == "settle":
        assert now.map is not None
        leaving = {slot for state in now.map.partitions for slot in state.copies if slot != state.owner}
        assert not leaving & now.unnamed, "I1: a node leaves copies before it named the epoch or died"


@given(facts())
def test_a_living_reader_is_never_taken_away_by_a_fail_over(now: Facts) -> None:
    change = plan(now).change
    if change is None or change.kind != "fail-over":
        return
    assert now.map is not None
    alive = now.ready | (now.doubtful - now.fenced)
    for before, after in zip(now.map.partitions, change.new.partitions, strict=True):
        if before.owner in alive and before.previous in (None, *alive):
            assert after == before
        else:
            assert after.owner in alive
            assert set(before.copies) <= set(after.copies)


@given(facts())
def test_what_is_as_it_should_be_is_left_alone(now: Facts) -> None:
    settled = replace(
        now,
        map=first_map(alternating(now.wanted)),
        ready=now.slots,
        processes=now.slots,
        doubtful=frozenset(),
        awaited=frozenset(),
        stopping=frozenset(),
        startable=frozenset(),
    )
    planned = plan(settled)
    assert (planned.change, planned.launch, planned.retire, planned.waiting) == (None, frozenset(), frozenset(), False)


@given(facts(), st.integers(1, 8))
def test_the_facts_that_follow_lead_to_the_wanted_size(now: Facts, wanted: int) -> None:
    """With all nodes well from now on, plan after plan ends settled on the wanted slots, in a few steps."""
    current, ready = now.map, frozenset(range(8))
    for _ in range(8):
        facts_now = Facts(map=current, wanted=wanted, ready=ready, processes=ready)
        change = plan(facts_now).change
        if change is None:
            break
        current = change.new
    assert current is not None
    assert current.phase == "settled"
    assert current.assignment == alternating(wanted)
    assert plan(Facts(map=current, wanted=wanted, ready=ready, processes=ready)).retire == ready - set(range(wanted))


@pytest.mark.parametrize("wanted", range(1, 9))
def test_all_wanted_slots_ready_means_the_alternating_table(wanted: int) -> None:
    now = Facts(map=None, wanted=wanted, ready=frozenset(range(8)))
    assert target_assignment(now, alternating(8)) == alternating(wanted)


def test_minimal_moves_as_little_as_can_be_and_then_rests() -> None:
    """From any size to any other, with every node well."""
    everyone = frozenset(range(8))
    for before in range(1, 9):
        for wanted in range(1, 9):
            now = Facts(
                map=first_map(alternating(before)),
                wanted=wanted,
                ready=everyone,
                processes=everyone,
                assignment="minimal",
            )
            target = target_assignment(now, alternating(before))
            assert target is not None
            assert moves(alternating(before), target) == moves(
                alternating(before), deal(alternating(before), tuple(range(wanted)))
            )
            assert plan(replace(now, map=first_map(target))).change is None


def test_another_assignment_is_dealt_at_the_same_size() -> None:
    everyone = frozenset(range(8))
    grown = deal(alternating(4), tuple(range(5)))
    now = Facts(map=first_map(grown), wanted=5, ready=everyone, processes=everyone, assignment="alternating")
    change = plan(now).change
    assert change is not None
    assert (change.kind, change.new.assignment) == ("open", alternating(5))


def test_those_that_can_serve_get_everything_with_the_fewest_moves() -> None:
    for missing in combinations(range(4), 2):
        serving = frozenset(range(4)) - set(missing)
        now = Facts(map=first_map(alternating(4)), wanted=4, ready=serving, processes=serving)
        target = target_assignment(now, alternating(4))
        assert target == deal(alternating(4), tuple(sorted(serving)))
        assert target is not None
        assert moves(alternating(4), target) == 8


def test_a_resize_waits_for_slots_of_which_nothing_is_sure() -> None:
    now = Facts(map=first_map(alternating(1)), wanted=2, ready=frozenset({0}), processes=frozenset({0, 1}))
    for unsure in (replace(now, awaited=frozenset({1})), replace(now, doubtful=frozenset({1}))):
        waiting = plan(unsure)
        assert (waiting.change, waiting.waiting) == (None, True)
    assert plan(now).waiting is False


@pytest.mark.parametrize(("cold", "awaited"), [(True, True), (True, False), (False, True), (False, False)])
def test_only_a_pool_that_starts_cold_waits_with_a_fail_over(cold: bool, awaited: bool) -> None:
    now = Facts(
        map=first_map(alternating(2)),
        wanted=2,
        ready=frozenset({0}),
        processes=frozenset({0, 1}),
        awaited=frozenset({1}) if awaited else frozenset(),
        cold=cold,
    )
    change = plan(now).change
    assert (change is None) == (cold and awaited)


def test_others_serve_for_a_fenced_node_at_once_and_writers_wait_for_it_until_it_is_dead() -> None:
    now = Facts(
        map=first_map(alternating(2)),
        wanted=2,
        ready=frozenset({0}),
        doubtful=frozenset({1}),
        fenced=frozenset({1}),
        processes=frozenset({0, 1}),
    )
    change = plan(now).change
    assert change is not None
    assert change.kind == "fail-over"
    assert change.new.assignment == alternating(1)
    assert all(state.copies == (1, 0) for state in change.new.partitions[1::2])
    closing = replace(now, map=change.new, unnamed=frozenset({1}))
    assert plan(closing).change is None
    settled = plan(replace(closing, doubtful=frozenset(), fenced=frozenset(), unnamed=frozenset())).change
    assert settled is not None
    assert settled.kind == "settle"
    assert plan(replace(now, fenced=frozenset())).change is None, "one that may come back is waited for"


def test_an_open_resize_is_aborted_for_another_wish_only_while_it_warms() -> None:
    opened = open_resize(first_map(alternating(1)), alternating(2))
    ready = frozenset({0, 1})
    now = Facts(map=opened, wanted=1, ready=ready, processes=ready, warmed=False, resize_wanted=2)
    aborted = plan(now).change
    assert aborted is not None
    assert aborted.kind == "abort"
    closed = plan(replace(now, warmed=True)).change
    assert closed is not None
    assert closed.kind == "close"
    assert plan(replace(now, resize_wanted=1)).change is None
    assert plan(replace(now, resize_wanted=None)).change is None


def test_closing_waits_for_every_node_in_copies() -> None:
    closed = close_resize(open_resize(first_map(alternating(1)), alternating(2)))
    ready = frozenset({0, 1})
    now = Facts(map=closed, wanted=2, ready=ready, processes=ready)
    for unnamed in ({0}, {1}, {0, 1}):
        assert plan(replace(now, unnamed=frozenset(unnamed))).change is None
    change = plan(now).change
    assert change is not None
    assert change.kind == "settle"
