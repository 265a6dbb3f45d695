"""Least recently used."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from operator import itemgetter


class LruOrder:
    """Evicts the least recently used key. A rank is the time of the last use; between caches, minus the time since.

    Keys that were used here are kept in the order of use. Those added out of turn, with an older `used_at`, are kept
    in a heap beside it, so pulling many of them costs no sorting.
    """

    ranks = True

    def __init__(self) -> None:
        self._row: OrderedDict[str, float] = OrderedDict()
        self._beside: dict[str, tuple[float, str]] = {}
        self._heap: list[tuple[float, str]] = []
        """Holds everything that was ever added beside the row; items that have left since are skipped."""

    def add(self, key: str, size_bytes: int, cost_seconds: float, now: float) -> None:
        """See `EvictionOrder`."""
        self.add_ranked(key, size_bytes, cost_seconds, now)

    def add_ranked(self, key: str, size_bytes: int, cost_seconds: float, rank: float) -> None:  # noqa: ARG002 - fixed
        """See `EvictionOrder`."""
        if not self._row or rank >= next(reversed(self._row.values())):
            self._row[key] = rank
            return
        if not self._beside:
            self._heap.clear()
        self._beside[key] = rank, key
        heapq.heappush(self._heap, self._beside[key])

    def touch(self, key: str, now: float) -> None:
        """See `EvictionOrder`."""
        if self._beside:
            self._beside.pop(key, None)
        self._row[key] = now
        self._row.move_to_end(key)

    def remove(self, key: str) -> None:
        """See `EvictionOrder`."""
        if self._beside.pop(key, None) is None:
            del self._row[key]

    def victim(self) -> str:
        """See `EvictionOrder`."""
        while self._heap and not self._is_there(self._heap[0]):
            heapq.heappop(self._heap)
        key, _ = next(self.coldest_first(), (None, 0.0))
        if key is None:
            raise KeyError("no key to evict")
        return key

    def ranked(self) -> list[tuple[str, float]]:
        """See `EvictionOrder`."""
        return [*reversed(self._row.items()), *((key, used_at) for used_at, key in self._beside.values())]

    def coldest_first(self) -> Iterator[tuple[str, float]]:
        """See `EvictionOrder`. The cost grows with how many are taken, not with how many there are."""
        return heapq.merge(self._row.items(), self._beside_coldest_first(), key=itemgetter(1))

    def shared_rank(self, rank: float, now: float) -> float:
        """See `EvictionOrder`."""
        return min(0.0, rank - now)

    def local_rank(self, shared: float, now: float) -> float:
        """See `EvictionOrder`."""
        return now + shared

    def set_capacity(self, size_bytes: int) -> None:
        """Does nothing: the order does not depend on it."""

    def _beside_coldest_first(self) -> Iterator[tuple[str, float]]:
        """The heap in order, without changing it (the k smallest take k log k steps)."""
        front = [(self._heap[0], 0)] if self._heap else []
        while front:
            item, place = heapq.heappop(front)
            if self._is_there(item):
                yield item[1], item[0]
            for child in (2 * place + 1, 2 * place + 2):
                if child < len(self._heap):
                    heapq.heappush(front, (self._heap[child], child))

    def _is_there(self, item: tuple[float, str]) -> bool:
        return self._beside.get(item[1]) is item
