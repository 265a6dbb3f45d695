"""The pool maps that the model moves through: made by the real transitions, known by their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.model.history import KEY
from tests.model.state import BESIDE, A

from elastic_images.core.assignment import Assignment
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

Transition = Callable[[PoolMap], PoolMap]
Rounds = Callable[[Sequence[str], PoolMap | None], list[dict[int, list[str]]]]


def all_on(slot: int) -> Assignment:
    return (slot,) * PARTITIONS


def swapped(key: str) -> Callable[[int], Assignment]:
    """The key's partition on a slot, and all others on the other one: a resize moves them past each other."""
    mine = partition_of(key)
    return lambda slot: tuple(slot if partition == mine else 1 - slot for partition in range(PARTITIONS))


class Maps:
    """Every map met so far. Number 0 is the first: all on node A."""

    def __init__(
        self,
        key: str = KEY,
        *,
        deal: Callable[[int], Assignment] = all_on,
        close: Transition = close_resize,
        abort: Transition = abort_resize,
        told: Rounds = rounds,
    ) -> None:
        """`key` is the watched one; `deal` deals the partitions so that it is on a slot."""
        self._key, self._deal, self._told = key, deal, told
        self._maps: list[PoolMap] = []
        self._numbers: dict[PoolMap, int] = {}
        self._made: dict[tuple[str, int, tuple[int, ...]], int] = {}
        self._places: list[PartitionState] = []
        self._readers: list[tuple[int, ...]] = []
        self._orders: dict[tuple[int, tuple[str, ...]], tuple[int, ...]] = {}
        self._close, self._abort = close, abort
        self._number(first_map(deal(A)))

    def pool_map(self, number: int) -> PoolMap:
        return self._maps[number]

    def place(self, number: int) -> PartitionState:
        """The watched key's owner, previous owner and copies."""
        return self._places[number]

    def readers(self, number: int) -> tuple[int, ...]:
        """The nodes that may serve anything."""
        return self._readers[number]

    def order(self, number: int, keys: tuple[str, ...]) -> tuple[int, ...]:
        """The calls by which a writer of `keys` tells the nodes, as the real invalidator orders them."""
        order = self._orders.get((number, keys))
        if order is None:
            told = self._told(keys, self._maps[number])
            order = self._orders[number, keys] = tuple(
                self.call(slot, its_keys) for one_round in told for slot, its_keys in one_round.items()
            )
        return order

    def call(self, who: int, keys: Sequence[str]) -> int:
        """A call that tells a member of `keys`."""
        return who if self._key in keys else who + BESIDE

    def epoch(self, number: int) -> int:
        return self._maps[number].epoch

    def phase(self, number: int) -> str:
        return self._maps[number].phase

    def opened(self, number: int, owner: int) -> int:
        return self._after("open", number, (owner,), lambda current: open_resize(current, self._deal(owner)))

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
            self._places.append(pool_map.partitions[partition_of(self._key)])
            self._readers.append(tuple(sorted({slot for place in pool_map.partitions for slot in place.readers})))
        return number
