"""Which node owns which partition in a pool of N nodes.

An assignment is a tuple of 16 slots, `assignment[partition] = slot`. Nodes of a pool of N have the slots 0 to N - 1.
"""

from __future__ import annotations

from collections import Counter

from elastic_images.core.partitions import PARTITIONS

MIN_NODES = 1
MAX_NODES = 8

Assignment = tuple[int, ...]
ASSIGNMENTS = ("alternating", "minimal")
"""The ways to assign partitions, by the names that people use."""


def alternating(nodes: int) -> Assignment:
    """Partition i belongs to node i mod N, for 1 to 8 nodes."""
    return tuple(partition % nodes for partition in range(PARTITIONS))


def minimal(current: Assignment, nodes: int) -> Assignment:
    """An assignment to N nodes that moves as few partitions from `current` as possible; counts differ by at most one.

    Growing from N to N + 1 moves 16 // (N + 1) partitions. The same arguments always give the same result.
    """
    return deal(current, tuple(range(nodes)))


def assign(name: str, current: Assignment, nodes: int) -> Assignment:
    """The assignment of that name for N nodes; `current` is the one before it.

    Raises:
        KeyError: the name is unknown.
    """
    return {"alternating": lambda: alternating(nodes), "minimal": lambda: minimal(current, nodes)}[name]()


def deal(current: Assignment, slots: tuple[int, ...]) -> Assignment:
    """Assign the partitions to `slots` (at least one), moving as few as possible; counts differ by at most one."""
    held = Counter(current)
    base, extra = divmod(PARTITIONS, len(slots))
    # The larger shares go to the slots that hold most already, which saves a move each.
    by_holding = sorted(slots, key=lambda slot: (-held[slot], slot))
    room = {slot: base + (1 if rank < extra else 0) for rank, slot in enumerate(by_holding)}
    dealt: list[int | None] = []
    for slot in current:
        keeps = room.get(slot, 0) > 0
        dealt.append(slot if keeps else None)
        if keeps:
            room[slot] -= 1
    takers = iter([slot for slot in sorted(slots) for _ in range(room[slot])])
    return tuple(next(takers) if slot is None else slot for slot in dealt)


def moves(before: Assignment, after: Assignment) -> int:
    """How many partitions change their owner."""
    return sum(old != new for old, new in zip(before, after, strict=True))
