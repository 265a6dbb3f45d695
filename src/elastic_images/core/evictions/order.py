"""What a cache needs of an eviction order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

UNKNOWN = 0.0
"""The rank of a key whose use is not known: the coldest there is."""


class EvictionOrder(Protocol):
    """The keys of a cache in eviction order. Not safe for concurrent access.

    A key's rank says how much it is worth keeping; hotter is greater. Ranks are comparable within an order and, as
    `shared_rank` gives them, between the caches of a pool with the same policy.
    """

    ranks: bool
    """Whether some keys are worth more than others."""

    def add(self, key: str, size_bytes: int, cost_seconds: float, now: float) -> None:
        """Add a new key, used at `now` by the cache's clock. `cost_seconds`: what it takes to get it again."""

    def add_ranked(self, key: str, size_bytes: int, cost_seconds: float, rank: float) -> None:
        """Add a key that another cache or order has ranked."""

    def touch(self, key: str, now: float) -> None:
        """Note that a key was used."""

    def remove(self, key: str) -> None:
        """Remove a key that is present."""

    def victim(self) -> str:
        """The key to evict now, which the caller must remove. Raises KeyError if there is none."""

    def ranked(self) -> list[tuple[str, float]]:
        """All keys with their ranks; of equal ranks the hottest first. Takes no longer than copying them."""

    def coldest_first(self) -> Iterator[tuple[str, float]]:
        """The keys that may make way for a hotter one, coldest first; none if the order does not rank.

        With each the rank that a key must exceed to be hotter. Do not change the order while iterating.
        """

    def shared_rank(self, rank: float, now: float) -> float:
        """A rank as other caches understand it."""

    def local_rank(self, shared: float, now: float) -> float:
        """The rank here of another cache's `shared_rank`."""

    def set_capacity(self, size_bytes: int) -> None:
        """Note the size of the cache."""
