"""A cache bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
        self.policy = policy
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        """The entry, which counts as a use of it."""
        entry = self._entries.get(key)
        if entry is not None:
            self._order.touch(key)
        return entry

    def peek(self, key: str) -> Entry | None:
        """The entry, without counting as a use of it."""
        return self._entries.get(key)

    def put(self, entry: Entry) -> bool:
        """Keep `entry`, evicting what it takes. False: it is larger than the cache and is not kept."""
        self.remove(entry.key)
        if entry.size_bytes > self.capacity_bytes:
            return False
        self._make_room(entry.size_bytes)
        self._entries[entry.key] = entry
        self._order.add(entry.key)
        self.used_bytes += entry.size_bytes
        return True

    def remove(self, key: str) -> bool:
        """Drop an entry. False: there was none."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self._order.remove(key)
        self.used_bytes -= entry.size_bytes
        return True

    def remove_where(self, unwanted: Callable[[str], bool]) -> int:
        """Drop every entry whose key is `unwanted`; how many there were."""
        keys = [key for key in self._entries if unwanted(key)]
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
            for key in reversed(list(self._order.hottest_first())):
                order.add(key)
            self._order, self.policy = order, policy
        self.capacity_bytes = capacity_bytes
        self._make_room(0)

    def hottest_first(self) -> Iterator[Entry]:
        """The entries, those worth most first. The cache must not change meanwhile."""
        return (self._entries[key] for key in self._order.hottest_first())

    def _make_room(self, size_bytes: int) -> None:
        while self.used_bytes + size_bytes > self.capacity_bytes:
            self.remove(self._order.victim())
            self.evictions += 1
