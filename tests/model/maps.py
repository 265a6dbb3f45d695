"""The pool maps that the model moves through: made by the real transitions, known by their number."""

from __future__ import annotations

from collections.abc import Callable

from tests.model.state import A

from elastic_images.core.partitions import PARTITIONS, partition_of
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
from elastic_images.pool.invalidation import rounds

KEY = "k1"

Transition = Callable[[PoolMap], PoolMap]


def all_on(slot: int) -> tuple[int, ...]:
    return (slot,) * PARTITIONS


class Maps:
    """Every map met so far. Number 0 is the first: all on node A."""

    def __init__(self, *, close: Transition = close_resize, abort: Transition = abort_resize) -> None:
        self._maps: list[PoolMap] = []
        self._numbers: dict[PoolMap, int] = {}
        self._made: dict[tuple[str, int, tuple[int, ...]], int] = {}
        self._places: list[PartitionState] = []
        self._orders: list[tuple[int, ...]] = []
        self._close, self._abort = close, abort
        self._number(first_map(all_on(A)))

    def pool_map(self, number: int) -> PoolMap:
        return self._maps[number]

    def place(self, number: int) -> PartitionState:
        """The key's owner, previous owner and copies."""
        return self._places[number]

    def order(self, number: int) -> tuple[int, ...]:
        """The nodes that a writer tells, as the real invalidator orders them."""
        return self._orders[number]

    def epoch(self, number: int) -> int:
        return self._maps[number].epoch

    def phase(self, number: int) -> str:
        return self._maps[number].phase

    def opened(self, number: int, owner: int) -> int:
        return self._after("open", number, (owner,), lambda current: open_resize(current, all_on(owner)))

    def closed(self, number: int) -> int:
        return self._after("close", number, (), self._close)

    def aborted(self, number: int) -> int:
        return self._after("abort", number, (), self._abort)

    def settled(self, number: int) -> int:
        return self._after("settle", number, (), settle)

    def failed_over(self, number: int, dead: tuple[int, ...], heir: int) -> int:
        return self._after("fail over", number, (*dead, heir), lambda current: fail_over(current, dead, all_on(heir)))

    def _after(self, name: str, number: int, detail: tuple[int, ...], transition: Transition) -> int:
        made = self._made.get((name, number, detail))
        if made is None:
            made = self._made[name, number, detail] = self._number(transition(self._maps[number]))
        return made

    def _number(self, pool_map: PoolMap) -> int:
        number = self._numbers.get(pool_map)
        if number is None:
            number = self._numbers[pool_map] = len(self._maps)
            self._maps.append(pool_map)
            self._places.append(pool_map.partitions[partition_of(KEY)])
            self._orders.append(tuple(slot for one_round in rounds([KEY], pool_map) for slot in one_round))
        return number
