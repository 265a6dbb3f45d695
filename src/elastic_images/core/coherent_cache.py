"""The fill rule: how a cache that is filled and invalidated concurrently never keeps old bytes.

The ownership check, the look-up and the registration of a fill are one critical section; so are the check for
spoiling and the insertion. Both share a lock with invalidation and with taking a new map. A fill is registered before
it reads its source. A spoiled fill leaves the table: its bytes may answer the requests that joined it before, later
requests start their own. Nothing but a fill inserts. docs/protocol.md explains why this is right.

A rendition is an entry of its own. Its fill is registered before its original is looked for, and an invalidation of
the key drops the entries and spoils the fills of all its names in one critical section: so what is made of old bytes is
not kept.

Nodes and the near caches of web processes use the same class under the same rules.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from enum import Enum, auto
from operator import itemgetter

from elastic_images.core.cache import ByteCache
from elastic_images.core.entry import Entry
from elastic_images.core.errors import Conflict
from elastic_images.core.evictions.order import UNKNOWN
from elastic_images.core.fills import Fill, FillAbandoned, FillTicket
from elastic_images.core.partitions import ALL_PARTITIONS, partition_of
from elastic_images.core.pool_map import PoolMap
from elastic_images.core.renditions import NamesByKey

_NEVER = 0.0
"""When entries were last used that nobody asked for."""


class Refusal(Enum):
    """Why a cache may not answer."""

    NOT_MINE = auto()
    """By its own map it neither owns nor recently owned the partition."""
    DARK = auto()
    """Its lease has expired, so it may have missed an invalidation."""


class CoherentCache:
    """A cache that takes part in the protocol. Safe to share between threads; waits for nothing but its lock.

    `clock` must include time that the machine spends suspended. The cache is dark until the first `renew_lease`.
    """

    def __init__(self, cache: ByteCache, clock: Callable[[], float], *, slot: int | None) -> None:
        """`slot` is the node's; None makes a near cache, which may keep any partition."""
        self._lock = threading.Lock()
        self._cache = cache
        self._clock = clock
        self._slot = slot
        self._served: frozenset[int] = frozenset()
        self._lease_until = float("-inf")
        self._left = False
        self._fills: dict[str, Fill] = {}
        self._filled_names = NamesByKey()
        self._map: PoolMap | None = None
        self.incarnation = ""
        self.invalidations = 0
        self.handed_over = 0
        """How many entries new owners have fetched from here so far."""

    def now(self) -> float:
        """The time by the clock that entries' ages are counted by."""
        return self._clock()

    # --- looking up

    def lookup(self, key: str) -> Entry | None:
        """The entry, if it is in memory and may be served: the hot path. Counts as a use."""
        with self._lock:
            now = self._clock()
            if now >= self._lease_until:
                return None
            entry = self._cache.get(key, now)
            return entry if entry is not None and entry.partition in self._served else None

    def lookup_or_begin_fill(self, key: str) -> Entry | FillTicket | Refusal:
        """Look `key` up and, if it is absent, join or register its fill, in one critical section. Counts as a use."""
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
                fill.unasked = False
                return FillTicket(fill, leader=False)
            return FillTicket(self._register(key, partition), leader=True)

    def original_or_begin_fill(self, key: str) -> Entry | FillTicket | Refusal:
        """As `lookup_or_begin_fill`, for making a rendition, which is no use of the original.

        An original that nobody else asked for meanwhile is kept as the first to evict.
        """
        with self._lock:
            found = self._peek(key)
            if found is not None:
                return found
            fill = self._fills.get(key)
            if fill is not None:
                return FillTicket(fill, leader=False)
            fill = self._register(key, partition_of(key))
            fill.unasked = True
            return FillTicket(fill, leader=True)

    def peek(self, key: str) -> Entry | Refusal | None:
        """Look `key` up in memory only, without counting as a use; None if it is absent."""
        with self._lock:
            return self._peek(key)

    def peek_stale(self, key: str, seconds: float) -> Entry | None:
        """The entry, if the lease expired less than `seconds` ago; for answers that are marked stale."""
        with self._lock:
            return self._cache.peek(key) if self._clock() < self._lease_until + seconds else None

    def hand_over(self, key: str) -> Entry | Refusal | None:
        """As `peek`, for the new owner of a partition that moves away; the copy here becomes the first to evict."""
        with self._lock:
            found = self._peek(key)
            owner = self._map.partitions[partition_of(key)].owner if self._map else self._slot
            if isinstance(found, Entry) and owner != self._slot:
                self._cache.demote(key)
                self.handed_over += 1
            return found

    # --- ending fills

    def complete_fill(self, fill: Fill, entry: Entry) -> bool:
        """End a fill with its entry. False: it was spoiled or did not fit, and the entry is not kept."""
        with self._lock:
            kept = not fill.spoiled and self._cache.put(entry, _NEVER if fill.unasked else self._clock())
            if kept and fill.unasked:
                self._cache.demote(entry.key)
            self._unregister(fill)
        fill.resolve(entry)
        return kept

    def release_fill(self, fill: Fill, entry: Entry) -> None:
        """Answer a fill's waiters without keeping the entry."""
        with self._lock:
            self._unregister(fill)
        fill.resolve(entry)

    def fail_fill(self, fill: Fill, error: Exception) -> None:
        """End a fill with an error, which every waiter gets."""
        with self._lock:
            self._unregister(fill)
        fill.reject(error)

    def abandon_fill(self, fill: Fill) -> None:
        """End a fill without a result: its waiters get `FillAbandoned` and start over."""
        self.fail_fill(fill, FillAbandoned("The fetch was given up."))

    # --- warm pulls

    def begin_pull_fill(self, key: str, epoch: int) -> Fill | None:
        """Register a fill that no request asked for; None if the entry is here, being filled, or not ours.

        Also None if the map is no longer that of `epoch`, by which the source was chosen: in a later resize the
        source may come after this node in `copies`, and could still give what this node was told to drop.
        """
        partition = partition_of(key)
        with self._lock:
            if self.epoch != epoch or partition not in self._served or self._clock() >= self._lease_until:
                return None
            if key in self._fills or self._cache.peek(key) is not None:
                return None
            return self._register(key, partition)

    def complete_pull_fill(self, fill: Fill, entry: Entry, rank: float) -> bool:
        """As `complete_fill`, for an entry of this rank (`EvictionOrder`): it evicts only colder ones."""
        with self._lock:
            kept = not fill.spoiled and self._cache.put_ranked(entry, rank)
            self._unregister(fill)
        fill.resolve(entry)
        return kept

    def would_keep(self, size_bytes: int, rank: float) -> bool:
        """Whether `complete_pull_fill` would keep such an entry now; checked before fetching it."""
        with self._lock:
            return self._cache.has_room(size_bytes, rank)

    def local_rank(self, shared: float, policy: str) -> float:
        """The rank here of what another cache with that policy lists with that rank now."""
        with self._lock:
            return self._cache.order.local_rank(shared, self._clock()) if policy == self._cache.policy else UNKNOWN

    def shared_ranks(self, ranks: Iterable[float]) -> list[float]:
        """Ranks as another cache understands them now."""
        with self._lock:
            order, now = self._cache.order, self._clock()
        return [order.shared_rank(rank, now) for rank in ranks]

    @property
    def policy(self) -> str:
        """The eviction policy."""
        return self._cache.policy

    @property
    def ranks(self) -> bool:
        """Whether some entries are worth more than others."""
        return self._cache.order.ranks

    def has_free_room(self, size_bytes: int) -> bool:
        """Whether such an entry fits by evicting demoted entries at most."""
        with self._lock:
            return self._cache.has_room(size_bytes, float("-inf"))

    def demote(self, keys: Iterable[str]) -> None:
        """Evict these entries first, in this order, when room is needed: nobody wants them."""
        with self._lock:
            for key in keys:
                self._cache.demote(key)

    # --- coherence

    def invalidate_keys(self, incarnation: str, keys: Iterable[str]) -> int:
        """Drop the entries of `keys`, renditions included, and spoil their fills; gives how many were dropped.

        Obeyed with and without a lease.

        Raises:
            Conflict: this is another incarnation; nothing changed.
        """
        with self._lock:
            self._check(incarnation)
            dropped = 0
            for key in keys:
                dropped += self._cache.remove_key(key)
                for name in self._filled_names.of(key):
                    self._spoil(name)
            self.invalidations += dropped
            return dropped

    def clear(self, incarnation: str) -> int:
        """Drop every entry and spoil every fill; gives how many were dropped. Raises Conflict as `invalidate_keys`."""
        with self._lock:
            self._check(incarnation)
            return self._drop_all(ALL_PARTITIONS)

    def take_map(self, pool_map: PoolMap | None) -> None:
        """Obey a newer map: drop and spoil everything in partitions that are no longer served. Ignores older maps.

        Once this returns, the map's epoch may be named.
        """
        if pool_map is None:
            return
        with self._lock:
            if self._map is not None and pool_map.epoch <= self._map.epoch:
                return
            served = ALL_PARTITIONS if self._slot is None else pool_map.served_by(self._slot)
            if self._served - served:
                self._drop_all(ALL_PARTITIONS - served)
            self._cache.undo_demotions()
            self._served = served
            # Last, because `epoch` is read without the lock.
            self._map = pool_map

    def renew_lease(self, until: float) -> None:
        """Answer until that time of the clock: `LEASE_SECONDS` after the poll was sent. Never shortens the lease."""
        with self._lock:
            if not self._left:
                self._lease_until = max(self._lease_until, until)

    def leave(self) -> None:
        """Go dark for good and drop everything. Invalidations are still obeyed."""
        with self._lock:
            self._left = True
            self._lease_until = float("-inf")
            self._drop_all(ALL_PARTITIONS)

    def start_incarnation(self, incarnation: str) -> None:
        """Start over: dark, empty, without a map, every fill spoiled."""
        with self._lock:
            self.incarnation = incarnation
            self._lease_until = float("-inf")
            self._map = None
            self._served = ALL_PARTITIONS if self._slot is None else frozenset()
            self._drop_all(ALL_PARTITIONS)

    # --- state

    @property
    def pool_map(self) -> PoolMap | None:
        """The map in force."""
        return self._map

    @property
    def epoch(self) -> int:
        """The epoch to name: 0 before the first map."""
        pool_map = self._map
        return pool_map.epoch if pool_map else 0

    @property
    def dark(self) -> bool:
        """Whether the lease has expired."""
        return self._clock() >= self._lease_until

    def configure(self, capacity_bytes: int, policy: str) -> None:
        """Change capacity and policy, evicting to fit. Raises InvalidRequest, and then nothing changed."""
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
    def owned(self) -> frozenset[int]:
        """The partitions that it serves and owns."""
        return self._served - self.leaving

    @property
    def leaving(self) -> frozenset[int]:
        """The partitions that it still serves while an open resize moves them away."""
        pool_map = self._map
        if pool_map is None or self._slot is None:
            return frozenset()
        states = enumerate(pool_map.partitions)
        return frozenset(index for index, state in states if state.previous == self._slot != state.owner)

    def entries(self, partitions: frozenset[int]) -> list[tuple[Entry, float]]:
        """The entries of `partitions`, hottest first, each with its rank here."""
        with self._lock:
            everything = self._cache.ranked()
        # Filtering and sorting take longer than copying the list, so they happen outside the lock.
        mine = [(entry, rank) for entry, rank in everything if entry.partition in partitions]
        mine.sort(key=itemgetter(1), reverse=True)
        return mine

    # --- under the lock

    def _peek(self, key: str) -> Entry | Refusal | None:
        if self._clock() >= self._lease_until:
            return Refusal.DARK
        if partition_of(key) not in self._served:
            return Refusal.NOT_MINE
        return self._cache.peek(key)

    def _register(self, key: str, partition: int) -> Fill:
        fill = self._fills[key] = Fill(key, partition)
        self._filled_names.add(key)
        return fill

    def _unregister(self, fill: Fill) -> None:
        if self._fills.get(fill.key) is fill:
            del self._fills[fill.key]
            self._filled_names.discard(fill.key)

    def _spoil(self, key: str) -> None:
        fill = self._fills.pop(key, None)
        if fill is not None:
            self._filled_names.discard(key)
            fill.spoiled = True

    def _drop_all(self, partitions: frozenset[int]) -> int:
        for fill in [fill for fill in self._fills.values() if fill.partition in partitions]:
            self._spoil(fill.key)
        return self._cache.remove_where(lambda entry: entry.partition in partitions)

    def _check(self, incarnation: str) -> None:
        if incarnation != self.incarnation:
            raise Conflict("This is another incarnation.")
