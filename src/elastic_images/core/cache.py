"""A cache bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, takewhile
from random import Random

from elastic_images.core.entry import Entry
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.eviction import eviction_order
from elastic_images.core.renditions import NamesByKey


class ByteCache:
    """Entries by name (`core.renditions`), never larger together than the capacity (I6).

    Not safe for concurrent access. An entry's size is that of its key, its body and `OVERHEAD_BYTES`.
    """

    def __init__(self, capacity_bytes: int, policy: str = "LRU", random: Random | None = None) -> None:
        self._random = random or Random()  # noqa: S311 - the choice of entry to evict needs no cryptography
        self._entries: dict[str, Entry] = {}
        self._order = eviction_order(policy, self._random)
        self._demoted: dict[str, None] = {}
        self._names = NamesByKey()
        self.policy = policy
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self.evictions = 0
        self.oversized = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, now: float = 0.0) -> Entry | None:
        """The entry; counts as a use at the time `now`."""
        entry = self._entries.get(key)
        if entry is not None:
            self._order.touch(key, now)
            if self._demoted:
                self._demoted.pop(key, None)
        return entry

    def peek(self, key: str) -> Entry | None:
        """The entry, without counting as a use."""
        return self._entries.get(key)

    def put(self, entry: Entry, now: float = 0.0) -> bool:
        """Keep `entry`, evicting as much as needed. False: it is larger than the cache and is not kept."""
        self.remove(entry.key)
        if entry.size_bytes > self.capacity_bytes:
            self.oversized += 1
            return False
        self._make_room(entry.size_bytes)
        self._insert(entry, now)
        return True

    def put_older(self, entry: Entry, used_at: float) -> bool:
        """Keep an entry that was last used at `used_at`, evicting only colder ones. False: too few are colder."""
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
        """Demoted entries, then ones used before `used_at`, whose eviction makes enough room; None if it cannot."""
        colder = takewhile(lambda item: item[1] < used_at, self._order.coldest_first())
        candidates = chain(self._demoted, (key for key, _ in colder if key not in self._demoted))
        room, victims = self.capacity_bytes - self.used_bytes, []
        while room < size_bytes:
            key = next(candidates, None)
            if key is None:
                return None
            victims.append(key)
            room += self._entries[key].size_bytes
        return victims

    def demote(self, key: str) -> None:
        """Evict an entry before all others when room is needed, unless it is used again."""
        if key in self._entries:
            self._demoted[key] = None

    def undo_demotions(self) -> None:
        """Treat demoted entries like all others again."""
        self._demoted.clear()

    def remove_key(self, key: str) -> int:
        """Drop the entry of `key` and those of its renditions; gives how many there were."""
        return sum([self.remove(name) for name in self._names.of(key)])

    def remove(self, key: str) -> bool:
        """Drop an entry. False: it was absent."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self._names.discard(key)
        self._order.remove(key)
        self._demoted.pop(key, None)
        self.used_bytes -= entry.size_bytes
        return True

    def remove_where(self, unwanted: Callable[[Entry], bool]) -> int:
        """Drop every entry that is `unwanted`; gives how many."""
        keys = [key for key, entry in self._entries.items() if unwanted(entry)]
        for key in keys:
            self.remove(key)
        return len(keys)

    def configure(self, capacity_bytes: int, policy: str) -> None:
        """Change capacity and policy, evicting only what no longer fits.

        Raises:
            InvalidRequest: a negative capacity or an unknown policy; nothing changed.
        """
        if capacity_bytes < 0:
            raise InvalidRequest("The capacity must not be negative.")
        if policy != self.policy:
            order = eviction_order(policy, self._random)
            for key, used_at in reversed(list(self._order.hottest_first())):
                order.add(key, used_at)
            self._order, self.policy = order, policy
        self.capacity_bytes = capacity_bytes
        self._make_room(0)

    def hottest_first(self) -> Iterator[tuple[Entry, float]]:
        """The entries, most valuable first, and when each was last used. Do not change the cache while iterating."""
        return ((self._entries[key], used_at) for key, used_at in self._order.hottest_first())

    def _insert(self, entry: Entry, used_at: float) -> None:
        self._entries[entry.key] = entry
        self._names.add(entry.key)
        self._order.add(entry.key, used_at)
        self.used_bytes += entry.size_bytes

    def _make_room(self, size_bytes: int) -> None:
        while self.used_bytes + size_bytes > self.capacity_bytes:
            self.remove(next(iter(self._demoted)) if self._demoted else self._order.victim())
            self.evictions += 1
