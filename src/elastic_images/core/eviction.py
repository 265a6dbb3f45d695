"""Which entry leaves first: the order that a cache keeps its keys in."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator
from operator import itemgetter
from random import Random
from typing import Protocol

from elastic_images.core.errors import InvalidRequest


class EvictionOrder(Protocol):
    """The keys of a cache, in an order of its own. Not safe for concurrent access."""

    def add(self, key: str, used_at: float) -> None:
        """A key that is not there comes in; it was last used at `used_at`, by the cache's clock."""

    def touch(self, key: str, now: float) -> None:
        """A key that is there was read."""

    def remove(self, key: str) -> None:
        """A key that is there goes."""

    def victim(self) -> str:
        """The key to evict next. Raises KeyError where there is none."""

    def hottest_first(self) -> Iterator[tuple[str, float]]:
        """The keys, those worth most first, each with when it was last used (0 where the order does not know)."""

    def coldest_first(self) -> Iterator[tuple[str, float]]:
        """The keys that may leave for a hotter one, in the order of leaving; none where the order does not know."""


class LruOrder:
    """Least recently used leaves first.

    Keys that were used here stand in a row, as they were used. Those that came in out of turn, with an older
    `used_at`, stand in a heap beside it, so that a pull of many costs no sorting.
    """

    def __init__(self) -> None:
        self._row: OrderedDict[str, float] = OrderedDict()
        self._beside: dict[str, tuple[float, str]] = {}
        self._heap: list[tuple[float, str]] = []
        """Of what is or was beside: what has left since is passed over."""

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
        """See `EvictionOrder`. What it costs grows with what is taken of it, not with what is there."""
        return heapq.merge(self._row.items(), self._beside_coldest_first(), key=itemgetter(1))

    def _beside_coldest_first(self) -> Iterator[tuple[str, float]]:
        """The heap in its order, left as it is (as the k smallest of a heap are found in k log k steps)."""
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
    """Any key may leave, each as likely as the other."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._keys: list[str] = []
        self._places: dict[str, int] = {}

    def add(self, key: str, used_at: float) -> None:  # noqa: ARG002 - fixed signature
        """See `EvictionOrder`."""
        self._places[key] = len(self._keys)
        self._keys.append(key)

    def touch(self, key: str, now: float) -> None:
        """Nothing: having been read does not save a key."""

    def remove(self, key: str) -> None:
        """The last key takes the place of the one that goes, so that every removal costs the same."""
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
        """None: no key is known to be colder than another."""
        return iter(())


POLICIES: dict[str, Callable[[Random], EvictionOrder]] = {"LRU": lambda _random: LruOrder(), "RR": RandomOrder}
"""The policies by the names that people use: least recently used, random replacement."""


def eviction_order(policy: str, random: Random) -> EvictionOrder:
    """An empty order for `policy`. Raises InvalidRequest where there is no such policy."""
    if policy not in POLICIES:
        raise InvalidRequest(f"No replacement policy {policy!r}: use {' or '.join(POLICIES)}.")
    return POLICIES[policy](random)
