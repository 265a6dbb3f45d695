"""The fill rule: how a cache that is filled and invalidated at once never keeps old bytes.

The ownership check, the look-up and the registration of a fill are one critical section; so are the check for
spoiling and the insertion; both share a lock with invalidation and with taking a new map. A fill is registered before
it reads its source. A spoiled fill leaves the table: its bytes may answer the requests that joined it before, later
requests start their own. Nothing but a fill inserts. docs/protocol.md says why this is right.

A node's cache and a web process's near cache are the same class under the same rules.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice

from elastic_images.core.cache import ByteCache
from elastic_images.core.entry import Entry
from elastic_images.core.errors import Conflict, Unavailable
from elastic_images.core.partitions import PARTITIONS, partition_of
from elastic_images.core.pool_map import PoolMap
from elastic_images.core.renditions import names_of

ALL_PARTITIONS = frozenset(range(PARTITIONS))


class Refusal(Enum):
    """Why a cache does not answer."""

    NOT_MINE = auto()
    """Its own map gives it no part in the partition."""
    DARK = auto()
    """Its lease is over: it may have missed an invalidation."""


class Fill:
    """One fetch of an entry on its way in, which any number of requests wait for.

    Made by `CoherentCache.begin`; whoever started it ends it by `complete` or `fail`, whatever happens.
    """

    __slots__ = ("_done", "_entry", "_error", "from_previous", "key", "partition", "spoiled")

    def __init__(self, key: str, partition: int) -> None:
        self.key = key
        self.partition = partition
        self.spoiled = False
        self.from_previous = False
        """The bytes came from the partition's previous owner: this counts as a hit."""
        self._done = threading.Event()
        self._entry: Entry | None = None
        self._error: Exception | None = None

    def wait(self, seconds: float) -> Entry:
        """The entry, when it is there.

        Raises:
            Exception: the fill's own error, the same for all who wait.
            Unavailable: it took longer than `seconds`.
        """
        if not self._done.wait(seconds):
            raise Unavailable("Fetching the image took too long.")
        if self._error is not None:
            raise self._error
        assert self._entry is not None  # noqa: S101 - a fill ends with one of the two
        return self._entry

    def end(self, entry: Entry | None, error: Exception | None) -> None:
        """Free those who wait. For `CoherentCache` alone."""
        self._entry, self._error = entry, error
        self._done.set()


@dataclass(frozen=True, slots=True)
class Begun:
    """What a request is to do about an entry that is not there: fetch it (`leader`), or wait for whoever does."""

    fill: Fill
    leader: bool


class CoherentCache:
    """A cache that takes part in the protocol. Safe to share between threads; only ever waits for its lock.

    `clock` counts the time that the machine is suspended, too. Before the first `renew` the cache is dark.
    """

    def __init__(
        self,
        cache: ByteCache,
        clock: Callable[[], float],
        *,
        slot: int | None,
    ) -> None:
        """`slot` is a node's; None means a near cache, which may keep any partition."""
        self._lock = threading.Lock()
        self._cache = cache
        self._clock = clock
        self._slot = slot
        self._served: frozenset[int] = frozenset()
        self._lease_until = float("-inf")
        self._fills: dict[str, Fill] = {}
        self._map: PoolMap | None = None
        self.incarnation = ""
        self.invalidations = 0
        self.handed_over = 0
        """How many entries were given to new owners so far."""

    def now(self) -> float:
        """The time by the clock that the ages of entries are counted by."""
        return self._clock()

    # --- reading

    def begin(self, key: str) -> Entry | Begun | Refusal:
        """Look `key` up, and register a fill where it is not there: one critical section."""
        partition = partition_of(key)
        with self._lock:
            now = self._clock()
            if now >= self._lease_until:
                return Refusal.DARK
            if partition not in self._served:
                return Refusal.NOT_MINE
            entry = self._cache.get(key, now)
            if entry is not None:
                return entry
            fill = self._fills.get(key)
            if fill is not None:
                return Begun(fill, leader=False)
            return Begun(self._register(key, partition), leader=True)

    def lookup(self, key: str) -> Entry | Refusal | None:
        """Look `key` up in memory alone; None where it is not there. Not a use of it."""
        with self._lock:
            return self._lookup(key)

    def hand_over(self, key: str) -> Entry | Refusal | None:
        """As `lookup`, for the new owner of a partition that moves away: what he has now can be spared here."""
        with self._lock:
            found = self._lookup(key)
            owner = self._map.partitions[partition_of(key)].owner if self._map else self._slot
            if isinstance(found, Entry) and owner != self._slot:
                self._cache.spare(key)
                self.handed_over += 1
            return found

    def hit(self, key: str) -> Entry | None:
        """The entry where it is in memory and may be answered, and nothing else: the hot path."""
        with self._lock:
            now = self._clock()
            if now >= self._lease_until:
                return None
            entry = self._cache.get(key, now)
            return entry if entry is not None and entry.partition in self._served else None

    def stale(self, key: str, seconds: float) -> Entry | None:
        """The entry where the lease ended less than `seconds` ago, for answers that are marked stale."""
        with self._lock:
            return self._cache.peek(key) if self._clock() < self._lease_until + seconds else None

    def begin_pull(self, key: str, epoch: int) -> Fill | None:
        """Register a fill for a key that nobody asked for; None where it is there, on its way, or not ours.

        None, too, where the map is no longer that of `epoch`, by which the source was chosen: in a later resize the
        source may come after this node in `copies`, and could still give what this node was told to drop.
        """
        partition = partition_of(key)
        with self._lock:
            if self.epoch != epoch or partition not in self._served or self._clock() >= self._lease_until:
                return None
            if key in self._fills or self._cache.peek(key) is not None:
                return None
            return self._register(key, partition)

    def complete(self, fill: Fill, entry: Entry) -> bool:
        """End a fill with its entry. False: it was spoiled or did not fit, and the entry is not kept."""
        with self._lock:
            kept = not fill.spoiled and self._cache.put(entry, self._clock())
            self._leave(fill)
        fill.end(entry, None)
        return kept

    def would_keep(self, size_bytes: int, age_seconds: float) -> bool:
        """Whether `complete_pull` would keep such an entry now: a look that saves fetching what does not fit."""
        with self._lock:
            return self._cache.has_room(size_bytes, self._clock() - age_seconds)

    def let_go(self, keys: Iterable[str]) -> None:
        """Give these entries up first, in this order, where room is needed: nobody wants them."""
        with self._lock:
            for key in keys:
                self._cache.spare(key)

    def has_spare_room(self, size_bytes: int) -> bool:
        """Whether such an entry would take the room of none but those that were handed over or let go."""
        with self._lock:
            return self._cache.has_room(size_bytes, float("-inf"))

    def complete_pull(self, fill: Fill, entry: Entry, age_seconds: float) -> bool:
        """End a fill that nobody asked for, with an entry last used so long ago. False: it is not kept.

        What is hotter stays.
        """
        with self._lock:
            kept = not fill.spoiled and self._cache.put_older(entry, self._clock() - age_seconds)
            self._leave(fill)
        fill.end(entry, None)
        return kept

    def pass_on(self, fill: Fill, entry: Entry) -> None:
        """End a fill with an entry that is not to be kept."""
        with self._lock:
            self._leave(fill)
        fill.end(entry, None)

    def fail(self, fill: Fill, error: Exception) -> None:
        """End a fill with an error, which all who wait for it get."""
        with self._lock:
            self._leave(fill)
        fill.end(None, error)

    # --- coherence

    def invalidate(self, incarnation: str, keys: Iterable[str]) -> int:
        """Drop the entries of `keys`, renditions included, and spoil their fills, lease or no lease; how many.

        Raises:
            Conflict: this is another incarnation now; nothing changed.
        """
        with self._lock:
            self._check(incarnation)
            dropped = 0
            for key in keys:
                for name in names_of(key):
                    dropped += self._cache.remove(name)
                    self._spoil(name)
            self.invalidations += dropped
            return dropped

    def clear(self, incarnation: str) -> int:
        """Drop every entry and spoil every fill. How many entries were dropped. Raises Conflict as `invalidate`."""
        with self._lock:
            self._check(incarnation)
            return self._empty(lambda _partition: True)

    def take_map(self, pool_map: PoolMap | None) -> None:
        """Obey a newer map: drop and spoil what is no longer ours. An older one changes nothing.

        When this returns, the map's epoch may be named.
        """
        if pool_map is None:
            return
        with self._lock:
            if self._map is not None and pool_map.epoch <= self._map.epoch:
                return
            served = ALL_PARTITIONS if self._slot is None else pool_map.served_by(self._slot)
            if self._served - served:
                self._empty(lambda partition: partition not in served)
            self._cache.spare_none()
            self._served = served
            # Last, for `epoch` is read without the lock.
            self._map = pool_map

    def renew(self, until: float) -> None:
        """Answer until that time of the clock, which is `LEASE_SECONDS` after the poll was sent."""
        with self._lock:
            self._lease_until = max(self._lease_until, until)

    def reborn(self, incarnation: str) -> None:
        """Begin a new life: dark, empty, with no map, every fill spoiled."""
        with self._lock:
            self.incarnation = incarnation
            self._lease_until = float("-inf")
            self._map = None
            self._served = ALL_PARTITIONS if self._slot is None else frozenset()
            self._empty(lambda _partition: True)

    # --- about it

    @property
    def pool_map(self) -> PoolMap | None:
        """The map that it obeys."""
        return self._map

    @property
    def epoch(self) -> int:
        """The epoch to name: 0 before the first map."""
        pool_map = self._map
        return pool_map.epoch if pool_map else 0

    @property
    def dark(self) -> bool:
        """Whether the lease is over."""
        return self._clock() >= self._lease_until

    def configure(self, capacity_bytes: int, policy: str) -> None:
        """Change capacity and policy by evicting to fit. Raises InvalidRequest, and then nothing changed."""
        with self._lock:
            if (capacity_bytes, policy) != (self._cache.capacity_bytes, self._cache.policy):
                self._cache.configure(capacity_bytes, policy)

    def statistics(self) -> dict[str, int | str]:
        """Items, bytes, capacity, policy, evictions, invalidations, fills under way and epoch, at one moment."""
        with self._lock:
            return {
                "items": len(self._cache),
                "bytes": self._cache.used_bytes,
                "capacity_bytes": self._cache.capacity_bytes,
                "policy": self._cache.policy,
                "evictions": self._cache.evictions,
                "invalidations": self.invalidations,
                "fills": len(self._fills),
                "oversized": self._cache.oversized,
                "epoch": self.epoch,
            }

    @property
    def capacity_bytes(self) -> int:
        """The most bytes of entries that are kept."""
        return self._cache.capacity_bytes

    @property
    def kept(self) -> frozenset[int]:
        """The partitions that it answers for and owns."""
        return self._served - self.leaving

    @property
    def leaving(self) -> frozenset[int]:
        """The partitions that it still answers for while an open resize moves them away."""
        pool_map = self._map
        if pool_map is None or self._slot is None:
            return frozenset()
        states = enumerate(pool_map.partitions)
        return frozenset(number for number, state in states if state.previous == self._slot != state.owner)

    def entries(self, partitions: frozenset[int], limit: int | None = None) -> list[tuple[Entry, float]]:
        """The entries of `partitions`, `limit` at most, hottest first, each with its age: seconds since it was used."""
        with self._lock:
            now = self._clock()
            everything = list(self._cache.hottest_first())
        # Which partition each is in takes longer than the list, and nobody has to wait for it.
        mine = ((entry, used_at) for entry, used_at in everything if entry.partition in partitions)
        return [(entry, max(0.0, now - used_at)) for entry, used_at in islice(mine, limit)]

    # --- under the lock

    def _lookup(self, key: str) -> Entry | Refusal | None:
        if self._clock() >= self._lease_until:
            return Refusal.DARK
        if partition_of(key) not in self._served:
            return Refusal.NOT_MINE
        return self._cache.peek(key)

    def _register(self, key: str, partition: int) -> Fill:
        fill = self._fills[key] = Fill(key, partition)
        return fill

    def _leave(self, fill: Fill) -> None:
        if self._fills.get(fill.key) is fill:
            del self._fills[fill.key]

    def _spoil(self, key: str) -> None:
        fill = self._fills.pop(key, None)
        if fill is not None:
            fill.spoiled = True

    def _empty(self, lost: Callable[[int], bool]) -> int:
        for fill in [fill for fill in self._fills.values() if lost(fill.partition)]:
            self._spoil(fill.key)
        return self._cache.remove_where(lambda entry: lost(entry.partition))

    def _check(self, incarnation: str) -> None:
        if incarnation != self.incarnation:
            raise Conflict("This is another incarnation.")
