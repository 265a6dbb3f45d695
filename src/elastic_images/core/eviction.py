"""Which entry to evict first: the order a cache keeps its keys in."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator
from operator import itemgetter
from random import Random
from typing import Protocol

from elastic_images.core.errors import InvalidRequest


class EvictionOrder(Protocol):
    """The keys of a cache in eviction order. Not safe for concurrent access."""

    def add(self, key: str, used_at: float) -> None:
        """Add a new key, last used at `used_at` by the cache's clock."""

    def touch(self, key: str, now: float) -> None:
        """Note that a key was used."""

    def remove(self, key: str) -> None:
        """Remove a key that is present."""

    def victim(self) -> str:
        """The key to evict next. Raises KeyError if there is none."""

    def hottest_first(self) -> Iterator[tuple[str, float]]:
        """The keys, most valuable first, each with its last use (0 if the order does not record it)."""

    def coldest_first(self) -> Iterator[tuple[str, float]]:
        """The keys that may make way for a hotter one, coldest first; none if the order does not record use."""


class LruOrder:
    """Evicts the least recently used key.

    Keys that were used here are kept in the order of use. Those added out of turn, with an older `used_at`, are kept
    in a heap beside it, so pulling many of them costs no sorting.
    """

    def __init__(self) -> None:
        self._row: OrderedDict[str, float] = OrderedDict()
        self._beside: dict[str, tuple[float, str]] = {}
        self._heap: list[tuple[float, str]] = []
        """Holds everything that was ever added beside the row; items that have left since are skipped."""

    def add(self, key: str, used_at: float) -> None:
        """See `EvictionOrder`."""
        if not self._row or used_at >= next(reversed(self._row.values())):
            self._row[key] = used_at
            return
        if not self._beside:
            self._heap.clear()
        self._beside[key] = used_at, key
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

    def hottest_first(self) -> Iterator[tuple[str, float]]:
        """See `EvictionOrder`."""
        beside = [(key, used_at) for used_at, key in sorted(self._beside.values(), reverse=True)]
        return heapq.merge(reversed(self._row.items()), beside, key=itemgetter(1), reverse=True)

    def coldest_first(self) -> Iterator[tuple[str, float]]:
        """See `EvictionOrder`. The cost grows with how many are taken, not with how many there are."""
        return heapq.merge(self._row.items(), self._beside_coldest_first(), key=itemgetter(1))

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


class RandomOrder:
    """Evicts any key, each with the same probability."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._keys: list[str] = []
        self._places: dict[str, int] = {}

    def add(self, key: str, used_at: float) -> None:  # noqa: ARG002 - fixed signature
        """See `EvictionOrder`."""
        self._places[key] = len(self._keys)
        self._keys.append(key)

    def touch(self, key: str, now: float) -> None:
        """Does nothing: being used does not protect a key."""

    def remove(self, key: str) -> None:
        """Moves the last key into the gap, so every removal costs the same."""
        place = self._places.pop(key)
        last = self._keys.pop()
        if last != key:
            self._keys[place] = last
            self._places[last] = place

    def victim(self) -> str:
        """See `EvictionOrder`."""
        if not self._keys:
            raise KeyError("no key to evict")
        return self._random.choice(self._keys)

    def hottest_first(self) -> Iterator[tuple[str, float]]:
        """In no particular order."""
        return ((key, 0.0) for key in self._keys)

    def coldest_first(self) -> Iterator[tuple[str, float]]:
        """Nothing: no key is known to be colder than another."""
        return iter(())


POLICIES: dict[str, Callable[[Random], EvictionOrder]] = {"LRU": lambda _random: LruOrder(), "RR": RandomOrder}
"""The policies by the names that people use: least recently used, random replacement."""


def eviction_order(policy: str, random: Random) -> EvictionOrder:
    """An empty order for `policy`. Raises InvalidRequest if the policy is unknown."""
    if policy not in POLICIES:
        raise InvalidRequest(f"Unknown replacement policy {policy!r}; use {' or '.join(POLICIES)}.")
    return POLICIES[policy](random)
