"""Which entry leaves first: the order that a cache keeps its keys in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
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

    def sort(self) -> None:
        """Put keys that came in out of turn, with an older `used_at`, in their place."""


class LruOrder:
    """Least recently used leaves first."""

    def __init__(self) -> None:
        self._used_at: OrderedDict[str, float] = OrderedDict()

    def add(self, key: str, used_at: float) -> None:
        """See `EvictionOrder`."""
        self._used_at[key] = used_at

    def touch(self, key: str, now: float) -> None:
        """See `EvictionOrder`."""
        self._used_at[key] = now
        self._used_at.move_to_end(key)

    def remove(self, key: str) -> None:
        """See `EvictionOrder`."""
        del self._used_at[key]

    def victim(self) -> str:
        """See `EvictionOrder`."""
        return next(iter(self._used_at))

    def hottest_first(self) -> Iterator[tuple[str, float]]:
        """See `EvictionOrder`."""
        return reversed(self._used_at.items())

    def coldest_first(self) -> Iterator[tuple[str, float]]:
        """See `EvictionOrder`."""
        return iter(self._used_at.items())

    def sort(self) -> None:
        """See `EvictionOrder`."""
        self._used_at = OrderedDict(sorted(self._used_at.items(), key=lambda item: item[1]))


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

    def sort(self) -> None:
        """Nothing: there is no order."""


POLICIES: dict[str, Callable[[Random], EvictionOrder]] = {"LRU": lambda _random: LruOrder(), "RR": RandomOrder}
"""The policies by the names that people use: least recently used, random replacement."""


def eviction_order(policy: str, random: Random) -> EvictionOrder:
    """An empty order for `policy`. Raises InvalidRequest where there is no such policy."""
    if policy not in POLICIES:
        raise InvalidRequest(f"No replacement policy {policy!r}: use {' or '.join(POLICIES)}.")
    return POLICIES[policy](random)
