from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.model.variants import abort_in_one_step, commit_in_one_step

from elastic_images.core.assignment import MAX_NODES, alternating, deal
from elastic_images.core.partitions import PARTITIONS
from elastic_images.core.pool_map import (
    PartitionState,
    PoolMap,
    abort_resize,
    close_resize,
    fail_over,
    first_map,
    open_resize,
    settle,
)

SLOTS = tuple(range(MAX_NODES))
assignments = st.lists(st.sampled_from(SLOTS), min_size=PARTITIONS, max_size=PARTITIONS).map(tuple)
deaths = st.sets(st.sampled_from(SLOTS), max_size=MAX_NODES - 1)

Step = tuple[str, PoolMap, PoolMap]
"""The transition's name, the map before and the map after."""


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Any row of transitions that the rules allow, from a new pool."""
    current = first_map(draw(assignments))
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from(("fail over", *ALLOWED[current.phase])))
        after = _after(draw, name, current)
        steps.append((name, current, after))
        current = after
    return steps


ALLOWED = {"settled": ("open",), "open": ("close", "abort"), "closing": ("settle",)}


def _after(draw: st.DrawFn, name: str, current: PoolMap) -> PoolMap:
    if name == "open":
        return open_resize(current, draw(assignments))
    if name == "fail over":
        return _fail(draw, current)
    transitions: dict[str, Callable[[PoolMap], PoolMap]] = {
        "close": close_resize,
        "abort": abort_resize,
        "settle": settle,
    }
    return transitions[name](current)


def _fail(draw: st.DrawFn, current: PoolMap) -> PoolMap:
    dead = draw(deaths)
    living = tuple(slot for slot in SLOTS if slot not in dead)
    return fail_over(current, dead, deal(current.assignment, living))


@given(histories())
def test_each_transition_is_one_epoch_on_and_gives_each_partition_one_owner(steps: list[Step]) -> None:
    for _, before, after in steps:
        assert after.epoch == before.epoch + 1
        assert len(after.assignment) == PARTITIONS
        assert set(after.assignment) <= set(SLOTS)


@given(histories())
def test_copies_hold_everyone_who_may_be_read(steps: list[Step]) -> None:
    for _, _, after in steps:
        for state in after.partitions:
            assert set(state.readers) <= set(state.copies)
            assert len(set(state.copies)) == len(state.copies)


@given(histories())
def test_only_settling_takes_anyone_out_of_copies(steps: list[Step]) -> None:
    for name, before, after in steps:
        if name != "settle":
            assert_copies_stay(before, after)


def assert_copies_stay(before: PoolMap, after: PoolMap) -> None:
    for old, new in zip(before.partitions, after.partitions, strict=True):
        assert new.copies[: len(old.copies)] == old.copies, "and their order stays"


@given(histories())
def test_who_leaves_copies_was_no_reader_of_the_map_that_everyone_has_named_by_then(steps: list[Step]) -> None:
    for name, before, after in steps:
        if name == "settle":
            for old, new in zip(before.partitions, after.partitions, strict=True):
                assert not set(old.copies) - set(new.copies) & set(old.readers)
                assert new.copies == (new.owner,) == (old.owner,)


@given(histories())
def test_a_source_stands_before_who_is_filled_by_it(steps: list[Step]) -> None:
    for _, _, after in steps:
        for state in after.partitions:
            if state.previous is not None:
                assert state.copies == (state.previous, state.owner)


@given(histories())
def test_a_settled_map_is_one_copy_each_and_the_only_one_that_opens(steps: list[Step]) -> None:
    for _, _, after in steps:
        alone = all(state == PartitionState(state.owner, None, (state.owner,)) for state in after.partitions)
        assert (after.phase == "settled") == alone
        if after.phase != "settled":
            with pytest.raises(ValueError, match="settled"):
                open_resize(after, alternating(3))
        if after.phase == "open":
            with pytest.raises(ValueError, match="open resize"):
                settle(after)


@given(histories())
def test_from_any_map_a_few_steps_lead_to_a_settled_one(steps: list[Step]) -> None:
    for _, _, after in steps:
        for undo in (close_resize, abort_resize):
            assert settle(undo(after)).phase == "settled"


@given(histories())
def test_a_map_is_read_back_from_its_json(steps: list[Step]) -> None:
    for _, _, after in steps:
        assert PoolMap.from_json(after.to_json()) == after


@given(assignments, assignments)
def test_a_resize_moves_what_changes_and_leaves_the_rest_alone(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    opened = open_resize(first_map(before), after)
    for old, new, state in zip(before, after, opened.partitions, strict=True):
        if old == new:
            assert state == PartitionState(old, None, (old,))
        else:
            assert state == PartitionState(new, old, (old, new))
    assert settle(close_resize(opened)).assignment == after
    assert settle(abort_resize(opened)).assignment == before


@given(histories(), deaths)
def test_the_dead_are_no_readers_and_the_living_stay(steps: list[Step], dead: set[int]) -> None:
    current = steps[-1][2]
    living = tuple(slot for slot in SLOTS if slot not in dead)
    heirs = deal(current.assignment, living)
    mended = fail_over(current, dead, heirs)
    for old, new, heir in zip(current.partitions, mended.partitions, heirs, strict=True):
        assert not set(new.readers) & dead
        if not set(old.readers) & dead:
            assert new == old
        elif survivors := [slot for slot in old.readers if slot not in dead]:
            assert new.owner == survivors[0], "who may answer already, and may be warm, goes on"
        else:
            assert new.owner == heir
        assert set(old.copies) <= set(new.copies), "the dead are told until it settles"


def test_the_phases_of_a_resize() -> None:
    start = first_map(alternating(1))
    opened = open_resize(start, alternating(2))
    closed, aborted = close_resize(opened), abort_resize(opened)
    assert [step.phase for step in (start, opened, closed, settle(closed))] == ["settled", "open", "closing", "settled"]
    assert closed.partitions[1] == PartitionState(1, None, (0, 1))
    assert aborted.partitions[1] == PartitionState(0, None, (0, 1))
    assert (opened.served_by(0), opened.served_by(1)) == (frozenset(range(16)), frozenset(range(1, 16, 2)))
    assert closed.served_by(0) == frozenset(range(0, 16, 2))
    assert opened.slots == closed.slots == {0, 1}


def test_a_map_that_would_let_a_reader_go_untold_cannot_be_made() -> None:
    whole = [PartitionState(0, None, (0,))] * PARTITIONS
    for broken in (PartitionState(0, None, (1,)), PartitionState(0, 1, (0,)), PartitionState(0)):
        with pytest.raises(ValueError, match="lack a reader"):
            PoolMap(1, (*whole[:-1], broken))
    with pytest.raises(ValueError, match="16 partitions"):
        PoolMap(1, tuple(whole[:-1]))


@pytest.mark.parametrize("value", [{}, {"epoch": 1, "partitions": [{}] * 16}, {"epoch": 1, "partitions": []}])
def test_json_of_something_else_is_refused(value: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        PoolMap.from_json(value)


@pytest.mark.parametrize("broken", [commit_in_one_step, abort_in_one_step])
def test_a_transition_that_drops_copies_too_early_is_caught(broken: Callable[[PoolMap], PoolMap]) -> None:
    opened = open_resize(first_map(alternating(1)), alternating(2))
    with pytest.raises(AssertionError):
        assert_copies_stay(opened, broken(opened))
