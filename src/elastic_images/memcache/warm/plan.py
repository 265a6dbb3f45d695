"""What a node pulls, and what it and its sources need not keep: decided before anything moves. Pure.

Of what the node keeps and what it gains, the hottest entries that fit remain (invariant I8). Everything colder makes
room from the start: otherwise full nodes that exchange partitions evict what is still wanted while they wait for each
other. (In a simulation of 8 -> 7 full nodes such a plan lost 2 of 4,193 entries; pulling whatever was hotter than the
node's coldest lost 136.)
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry that some node has."""

    rank: float
    """By the rules of the cache that pulls (`EvictionOrder`); hotter is greater."""
    key: str
    size_bytes: int
    source: int
    """The slot of the node."""


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What to do."""

    wanted: tuple[Listed, ...]
    """What to pull, hottest first."""
    demoted: tuple[str, ...]
    """Keys of its own that are colder than everything it wants, coldest first."""
    cut: float | None
    """Entries of this rank or less are not wanted; None: all are."""


def plan_pull(own: Iterable[Listed], offered: Iterable[Listed], capacity_bytes: int) -> PullPlan:
    """Choose the hottest of `own` and `offered` that fit together. At equal rank, `own` comes first."""
    own = sorted(own, key=_hottest_first)
    room, cut = capacity_bytes, None
    wanted: list[Listed] = []
    for listed, is_own in heapq.merge(
        ((entry, True) for entry in own),
        ((entry, False) for entry in sorted(offered, key=_hottest_first)),
        key=lambda pair: (-pair[0].rank, not pair[1]),
    ):
        if listed.size_bytes > room:
            cut = listed.rank
            break
        room -= listed.size_bytes
        if not is_own:
            wanted.append(listed)
    demoted = () if cut is None else tuple(entry.key for entry in reversed(own) if entry.rank <= cut)
    return PullPlan(tuple(wanted), demoted, cut)


def _hottest_first(listed: Listed) -> tuple[float, str]:
    return -listed.rank, listed.key
