"""Every world that can be reached, nearest first, until one is found where a read would be stale."""

from __future__ import annotations

import gc
from array import array
from dataclasses import dataclass
from itertools import pairwise

from tests.model.rules import Rules
from tests.model.state import World


@dataclass(frozen=True)
class Explored:
    """How many worlds were seen, and the shortest way to a stale read where there is one."""

    worlds: int
    stale: str | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.stale is None:
            return f"no stale read in {self.worlds:,} worlds"
        steps = "\n".join(f"{number:4}. {step}" for number, step in enumerate(self.trace, 1))
        return f"{steps}\n   => a read that starts now is stale: {self.stale}"


def explore(rules: Rules, start: World, *, most: int = 5_000_000) -> Explored:
    """Breadth first from `start`. Raises RuntimeError where there are more than `most` worlds."""
    collects = gc.isenabled()
    gc.disable()  # there is no garbage, and looking for it costs a tenth of the time
    try:
        return _explore(rules, start, most)
    finally:
        if collects:
            gc.enable()


def _explore(rules: Rules, start: World, most: int) -> Explored:
    first = rules.reduced(start)
    numbers: dict[World, int] = {first: 0}
    worlds, parents = [first], array("l", [-1])
    for at, world in enumerate(worlds):
        for _, following in rules.steps(world):
            known = rules.reduced(following)
            if known in numbers:
                continue
            numbers[known] = len(worlds)
            worlds.append(known)
            parents.append(at)
            if (found := rules.stale(known)) is not None:
                return Explored(len(worlds), found, _trace(rules, worlds, parents))
        if len(worlds) > most:
            raise RuntimeError(f"more than {most:,} worlds")
    return Explored(len(worlds))


def _trace(rules: Rules, worlds: list[World], parents: array[int]) -> tuple[str, ...]:
    """The labels of the steps that lead to the last world."""
    way = [len(worlds) - 1]
    while (parent := parents[way[-1]]) >= 0:
        way.append(parent)
    way.reverse()
    return tuple(
        next(label for label, world in rules.steps(worlds[before]) if rules.reduced(world) == worlds[after])
        for before, after in pairwise(way)
    )
