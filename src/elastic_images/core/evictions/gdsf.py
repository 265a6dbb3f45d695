"""Greedy dual size frequency.

L. Cherkasova: "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy", HP Laboratories
report HPL-98-69R1, 1998.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count

_MIN_HEAP = 64


class _Item:
    """A key with its rank and its priority."""

    __slots__ = ("key", "priority", "rank", "worth")

    def __init__(self, key: str, worth: float, rank: float, priority: float) -> None:
        self.key = key
        self.worth = worth
        """Cost / size: what each use adds to the rank."""
        self.rank = rank
        self.priority = priority


_Heaped = tuple[float, int, _Item]
"""A lower bound of the item's priority, and a number, so that the oldest of equals goes first."""


class GdsfOrder:
    """Evicts the key with the lowest priority: the clock's time at its last use, plus frequency x cost / size.

    The clock's time is the priority of the last victim, so that what was frequent once grows old. The rank is frequency
    x cost / size. A use changes the key's priority but not its place in the heap, which is mended when it comes to the
    top. The order is exact all the same, because priorities only grow, and a hit costs little more than with LRU.
    """

    ranks = True

    def __init__(self) -> None:
        self._time = 0.0
        self._items: dict[str, _Item] = {}
        self._heap: list[_Heaped] = []
        """Has every item once, and some that were removed."""
        self._numbers = count()

    def add(self, key: str, size_bytes: int, cost_seconds: float, now: float) -> None:  # noqa: ARG002 - fixed
        """See `EvictionOrder`."""
        self.add_ranked(key, size_bytes, cost_seconds, cost_seconds / size_bytes)

    def add_ranked(self, key: str, size_bytes: int, cost_seconds: float, rank: float) -> None:
        """See `EvictionOrder`."""
        item = self._items[key] = _Item(key, cost_seconds / size_bytes, rank, self._time + rank)
        heapq.heappush(self._heap, (item.priority, next(self._numbers), item))

    def touch(self, key: str, now: float) -> None:  # noqa: ARG002 - fixed
        """See `EvictionOrder`."""
        item = self._items[key]
        item.rank += item.worth
        item.priority = self._time + item.rank

    def remove(self, key: str) -> None:
        """See `EvictionOrder`."""
        del self._items[key]
        if len(self._heap) > 2 * len(self._items) + _MIN_HEAP:
            self._heap = [heaped for heaped in self._heap if self._is_there(heaped[2])]
            heapq.heapify(self._heap)

    def victim(self) -> str:
        """See `EvictionOrder`. Sets the clock."""
        while self._heap:
            priority, number, item = self._heap[0]
            if not self._is_there(item):
                heapq.heappop(self._heap)
            elif item.priority > priority:
                heapq.heapreplace(self._heap, (item.priority, number, item))
            else:
                self._time = priority
                return item.key
        raise KeyError("no key to evict")

    def ranked(self) -> list[tuple[str, float]]:
        """See `EvictionOrder`."""
        return [(item.key, item.rank) for item in reversed(self._items.values())]

    def coldest_first(self) -> Iterator[tuple[str, float]]:
        """See `EvictionOrder`. The cost grows with how many are taken, not with how many there are."""
        # Places of the heap by lower bound; an item whose priority is higher returns with that, and without a place.
        front: list[tuple[float, int, _Item, int | None]] = []

        def look_at(place: int) -> None:
            if place < len(self._heap):
                heapq.heappush(front, (*self._heap[place], place))

        look_at(0)
        while front:
            priority, number, item, place = heapq.heappop(front)
            if place is not None:
                look_at(2 * place + 1)
                look_at(2 * place + 2)
            if not self._is_there(item):
                continue
            if item.priority > priority:
                heapq.heappush(front, (item.priority, number, item, None))
            else:
                yield item.key, priority - self._time

    def shared_rank(self, rank: float, now: float) -> float:  # noqa: ARG002 - fixed
        """See `EvictionOrder`."""
        return rank

    local_rank = shared_rank

    def set_capacity(self, size_bytes: int) -> None:
        """Does nothing: the order does not depend on it."""

    def _is_there(self, item: _Item) -> bool:
        return self._items.get(item.key) is item
