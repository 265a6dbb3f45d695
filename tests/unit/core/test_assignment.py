from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.assignment import MAX_NODES, Assignment, alternating, deal, minimal, moves
from elastic_images.core.partitions import PARTITIONS

SIZES = range(1, MAX_NODES + 1)


@st.composite
def balanced(draw: st.DrawFn) -> tuple[int, Assignment]:
    """A pool size and any assignment to it whose counts differ by one at most."""
    nodes = draw(st.integers(1, MAX_NODES))
    base, extra = divmod(PARTITIONS, nodes)
    order = draw(st.permutations(range(nodes)))
    shares = [slot for rank, slot in enumerate(order) for _ in range(base + (rank < extra))]
    return nodes, tuple(draw(st.permutations(shares)))


any_assignment = st.lists(st.integers(0, MAX_NODES - 1), min_size=PARTITIONS, max_size=PARTITIONS).map(tuple)
some_slots = st.sets(st.integers(0, MAX_NODES - 1), min_size=1).map(lambda slots: tuple(sorted(slots)))


def spread(assignment: Assignment, slots: tuple[int, ...]) -> int:
    counts = Counter(assignment)
    return max(counts[slot] for slot in slots) - min(counts[slot] for slot in slots)


@pytest.mark.parametrize("nodes", SIZES)
def test_alternating_deals_partition_i_to_node_i_mod_n(nodes: int) -> None:
    assert alternating(nodes) == tuple(partition % nodes for partition in range(16))


def test_what_alternating_moves_when_a_node_is_added() -> None:
    assert [moves(alternating(nodes), alternating(nodes + 1)) for nodes in range(1, 8)] == [8, 10, 10, 12, 11, 10, 9]


@given(balanced())
def test_minimal_moves_what_the_new_node_must_hold_and_no_more(start: tuple[int, Assignment]) -> None:
    nodes, current = start
    if nodes == MAX_NODES:
        return
    grown = minimal(current, nodes + 1)
    assert moves(current, grown) == PARTITIONS // (nodes + 1)
    assert spread(grown, tuple(range(nodes + 1))) <= 1


@given(balanced())
def test_minimal_moves_what_the_last_node_held_and_no_more(start: tuple[int, Assignment]) -> None:
    nodes, current = start
    if nodes == 1:
        return
    shrunk = minimal(current, nodes - 1)
    assert moves(current, shrunk) == Counter(current)[nodes - 1]
    assert spread(shrunk, tuple(range(nodes - 1))) <= 1


@given(any_assignment, some_slots)
def test_dealing_is_balanced_moves_as_little_as_balance_allows_and_is_always_the_same(
    current: Assignment, slots: tuple[int, ...]
) -> None:
    dealt = deal(current, slots)
    assert set(dealt) <= set(slots)
    assert spread(dealt, slots) <= 1
    assert dealt == deal(current, slots)
    assert moves(current, dealt) == fewest_moves(current, slots)


def fewest_moves(current: Assignment, slots: tuple[int, ...]) -> int:
    """By counting: whoever holds more than his share gives up the rest; the larger shares go where they save most."""
    base, extra = divmod(PARTITIONS, len(slots))
    held = sorted((Counter(current)[slot] for slot in slots), reverse=True)
    return PARTITIONS - sum(min(count, base + (rank < extra)) for rank, count in enumerate(held))


@given(balanced())
def test_nothing_moves_where_nothing_changes(start: tuple[int, Assignment]) -> None:
    nodes, current = start
    assert minimal(current, nodes) == current
