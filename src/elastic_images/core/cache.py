"""A cache bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, takewhile
from operator import itemgetter
from random import Random

from elastic_images.core.entry import Entry
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.evictions.order import UNKNOWN, EvictionOrder
from elastic_images.core.evictions.policies import eviction_order
from elastic_images.core.renditions import NamesByKey


class ByteCache:
    """Entries by name (`core.renditions`), never larger together than the capacity (I6).

    Not safe for concurrent access. An entry's size is that of its key, its body and `OVERHEAD_BYTES`.
    """

    def __init__(self, capacity_bytes: int, policy: str = "LRU", random: Random | None = None) -> None:
        self._random = random or Random()  # noqa: S311 - the choice of entry to evict needs no cryptography
        self._entries: dict[str, Entry] = {}
        self.order: EvictionOrder = eviction_order(policy, self._random)
        """To be asked about ranks only."""
        self.order.set_capacity(capacity_bytes)
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
            self.order.touch(key, now)
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
        self._insert(entry)
        self.order.add(entry.key, entry.size_bytes, entry.cost_seconds, now)
        return True

    def put_ranked(self, entry: Entry, rank: float) -> bool:
        """Keep an entry that has this rank (`EvictionOrder`), evicting only colder ones. False: too few are colder."""
        self.remove(entry.key)
        victims = self._colder(entry.size_bytes, rank)
        if victims is None:
            return False
        for key in victims:
            self.remove(key)
            self.evictions += 1
        self._insert(entry)
        self.order.add_ranked(entry.key, entry.size_bytes, entry.cost_seconds, rank)
        return True

    def has_room(self, size_bytes: int, rank: float) -> bool:
        """Whether `put_ranked` would keep an entry of that size."""
        return self._colder(size_bytes, rank) is not None

    def _colder(self, size_bytes: int, rank: float) -> list[str] | None:
        """Demoted entries, then ones of a lower rank, whose eviction makes enough room; None if it cannot."""
        colder = takewhile(lambda item: item[1] < rank, self.order.coldest_first())
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
        self.order.remove(key)
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
            coldest_first = self.order.ranked()[::-1]
            coldest_first.sort(key=itemgetter(1))
            for key, _ in coldest_first:
                entry = self._entries[key]
                order.add_ranked(key, entry.size_bytes, entry.cost_seconds, UNKNOWN)
            self.order, self.policy = order, policy
        self.capacity_bytes = capacity_bytes
        self.order.set_capacity(capacity_bytes)
        self._make_room(0)

    def ranked(self) -> list[tuple[Entry, float]]:
        """All entries with their ranks; of equal ranks the hottest first."""
        return [(self._entries[key], rank) for key, rank in self.order.ranked()]

    def _insert(self, entry: Entry) -> None:
        self._entries[entry.key] = entry
        self._names.add(entry.key)
        self.used_bytes += entry.size_bytes

    def _make_room(self, size_bytes: int) -> None:
        while self.used_bytes + size_bytes > self.capacity_bytes:
            self.remove(next(iter(self._demoted)) if self._demoted else self.order.victim())
            self.evictions += 1
