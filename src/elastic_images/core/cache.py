"""A cache bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, takewhile
from random import Random

from elastic_images.core.entry import Entry
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.eviction import eviction_order


class ByteCache:
    """Entries by key, never more bytes of them than the capacity (I6). It is not safe for concurrent access.

    An entry counts its key, its body and `OVERHEAD_BYTES`.
    """

    def __init__(self, capacity_bytes: int, policy: str = "LRU", random: Random | None = None) -> None:
        self._random = random or Random()  # noqa: S311 - which entry is evicted is no secret
        self._entries: dict[str, Entry] = {}
        self._order = eviction_order(policy, self._random)
        self._spare: dict[str, None] = {}
        self.policy = policy
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self.evictions = 0
        self.oversized = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, now: float = 0.0) -> Entry | None:
        """The entry, which counts as a use of it at the time `now`."""
        entry = self._entries.get(key)
        if entry is not None:
            self._order.touch(key, now)
            if self._spare:
                self._spare.pop(key, None)
        return entry

    def peek(self, key: str) -> Entry | None:
        """The entry, without counting as a use of it."""
        return self._entries.get(key)

    def put(self, entry: Entry, now: float = 0.0) -> bool:
        """Keep `entry`, evicting what it takes. False: it is larger than the cache and is not kept."""
        self.remove(entry.key)
        if entry.size_bytes > self.capacity_bytes:
            self.oversized += 1
            return False
        self._make_room(entry.size_bytes)
        self._insert(entry, now)
        return True

    def put_older(self, entry: Entry, used_at: float) -> bool:
        """Keep an entry that was last used at `used_at`, for which only colder entries may be evicted.

        False: there is no room among the hotter ones.
        """
        self.remove(entry.key)
        victims = self._colder(entry.size_bytes, used_at)
        if victims is None:
            return False
        for key in victims:
            self.remove(key)
            self.evictions += 1
        self._insert(entry, used_at)
        return True

    def has_room(self, size_bytes: int, used_at: float) -> bool:
        """Whether `put_older` would keep an entry of that size."""
        return self._colder(size_bytes, used_at) is not None

    def _colder(self, size_bytes: int, used_at: float) -> list[str] | None:
        """The entries, spare or used before `used_at`, whose eviction gives room; None where that is too little."""
        colder = takewhile(lambda item: item[1] < used_at, self._order.coldest_first())
        candidates = chain(self._spare, (key for key, _ in colder if key not in self._spare))
        room, victims = self.capacity_bytes - self.used_bytes, []
        while room < size_bytes:
            key = next(candidates, None)
            if key is None:
                return None
            victims.append(key)
            room += self._entries[key].size_bytes
        return victims

    def spare(self, key: str) -> None:
        """Let an entry go before all others where room is needed, until it is used again: somebody else has it."""
        if key in self._entries:
            self._spare[key] = None

    def spare_none(self) -> None:
        """Forget what `spare` said."""
        self._spare.clear()

    def remove(self, key: str) -> bool:
        """Drop an entry. False: there was none."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self._order.remove(key)
        self._spare.pop(key, None)
        self.used_bytes -= entry.size_bytes
        return True

    def remove_where(self, unwanted: Callable[[Entry], bool]) -> int:
        """Drop every entry that is `unwanted`; how many there were."""
        keys = [key for key, entry in self._entries.items() if unwanted(entry)]
        for key in keys:
            self.remove(key)
        return len(keys)

    def configure(self, capacity_bytes: int, policy: str) -> None:
        """Change capacity and policy, evicting what no longer fits and nothing else.

        Raises:
            InvalidRequest: a negative capacity or an unknown policy; nothing changed.
        """
        if capacity_bytes < 0:
            raise InvalidRequest("A capacity is not negative.")
        if policy != self.policy:
            order = eviction_order(policy, self._random)
            for key, used_at in reversed(list(self._order.hottest_first())):
                order.add(key, used_at)
            self._order, self.policy = order, policy
        self.capacity_bytes = capacity_bytes
        self._make_room(0)

    def hottest_first(self) -> Iterator[tuple[Entry, float]]:
        """The entries, those worth most first, and when each was last used. The cache must not change meanwhile."""
        return ((self._entries[key], used_at) for key, used_at in self._order.hottest_first())

    def _insert(self, entry: Entry, used_at: float) -> None:
        self._entries[entry.key] = entry
        self._order.add(entry.key, used_at)
        self.used_bytes += entry.size_bytes

    def _make_room(self, size_bytes: int) -> None:
        while self.used_bytes + size_bytes > self.capacity_bytes:
            self.remove(next(iter(self._spare)) if self._spare else self._order.victim())
            self.evictions += 1
