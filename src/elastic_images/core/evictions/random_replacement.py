"""Random replacement."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from elastic_images.core.evictions.order import UNKNOWN


class RandomOrder:
    """Evicts any key, each with the same probability."""

    ranks = False

    def __init__(self, random: Random) -> None:
        self._random = random
        self._keys: list[str] = []
        self._places: dict[str, int] = {}

    def add(self, key: str, size_bytes: int, cost_seconds: float, now: float) -> None:
        """See `EvictionOrder`."""
        self.add_ranked(key, size_bytes, cost_seconds, now)

    def add_ranked(self, key: str, size_bytes: int, cost_seconds: float, rank: float) -> None:  # noqa: ARG002 - fixed
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

    def ranked(self) -> list[tuple[str, float]]:
        """All keys, with the same rank."""
        return [(key, UNKNOWN) for key in self._keys]

    def coldest_first(self) -> Iterator[tuple[str, float]]:
        """Nothing: no key is known to be colder than another."""
        return iter(())

    def shared_rank(self, rank: float, now: float) -> float:  # noqa: ARG002 - fixed
        """See `EvictionOrder`."""
        return rank

    local_rank = shared_rank

    def set_capacity(self, size_bytes: int) -> None:
        """Does nothing: the order does not depend on it."""
