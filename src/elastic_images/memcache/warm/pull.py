"""One pull: moves the entries that an open resize brings to a node.

It lists the sources' keys, registers a fill for each entry and only then asks for its bytes, so an invalidation in
between spoils the fill. Nodes that exchange partitions wait for each other: what one hands over makes room for what it
gains. The rate is bounded, so reads are not starved.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from math import inf

from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.memcache.warm.plan import Listed, PullPlan, plan_pull
from elastic_images.memcache.warm.sources import PullSource

_ROOM_SECONDS = 0.5
"""How long to wait for other nodes to make room before evicting something colder or leaving the entry behind."""
_LOOK_SECONDS = 0.005
_STAGGER_SECONDS = 0.06
"""Time between two nodes' listings: all at once, they would hold up the readers of a small machine."""


class Pull:
    """A pull under the map of one epoch. Runs once, on one thread; setting `stopping` ends it."""

    def __init__(
        self,
        slot: int,
        cache: CoherentCache,
        sources: Mapping[int, PullSource],
        *,
        epoch: int,
        bytes_per_second: int,
        stopping: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slot = slot
        self._cache = cache
        self._sources = sources
        self._epoch = epoch
        self._bytes_per_second = bytes_per_second
        self._stopping = stopping
        self._clock = clock
        self._waited_in_vain_at = -1
        """`handed_over` when a wait for room last timed out; -1 if none has."""

    def run(self, on_pulled: Callable[[int], None]) -> None:
        """Pull. `on_pulled` gets the bytes of each entry: 0 if it was already here or is gone."""
        self._stopping.wait(self._slot * _STAGGER_SECONDS)
        plan = self._plan()
        self._make_room(plan)
        # Retry what found no room: a node with colder entries may not have taken anything from here yet.
        left = self._pull_all(plan.wanted, on_pulled)
        self._waited_in_vain_at = -1
        self._pull_all(left, on_pulled)

    def _pull_all(self, wanted: Iterable[Listed], on_pulled: Callable[[int], None]) -> list[Listed]:
        """Pull these; gives those that found no room."""
        exchanges = bool(self._cache.leaving)
        pace = _Pace(self._bytes_per_second, self._clock)
        left = []
        for listed in wanted:
            if exchanges:
                self._await_room(listed.size_bytes)
            if self._is_over():
                return []
            pulled_bytes = self._pull_one(listed)
            if pulled_bytes is None:
                left.append(listed)
                continue
            on_pulled(pulled_bytes)
            self._stopping.wait(pace.pause_after(pulled_bytes))
        return left

    def _plan(self) -> PullPlan:
        own = [
            # Where entries are not ranked, the node keeps its own.
            Listed(rank if self._cache.ranks else inf, entry.key, entry.size_bytes, self._slot)
            for entry, rank in self._cache.entries(self._cache.owned)
        ]
        present = {listed.key for listed in own}
        # By key, because pages of a changing list may name a key twice.
        offered = {
            listed.key: listed
            for source in self._sources.values()
            for listed in source.list_entries(self._cache.local_rank)
            if listed.key not in present
        }
        return plan_pull(own, offered.values(), self._cache.capacity_bytes)

    def _make_room(self, plan: PullPlan) -> None:
        """Demote, here and at the sources, what is colder than everything that is wanted."""
        self._cache.demote(plan.demoted)
        if plan.cut is not None and self._cache.ranks:
            [cut] = self._cache.shared_ranks([plan.cut])
            for source in self._sources.values():
                source.decline(cut, self._cache.policy)

    def _is_over(self) -> bool:
        """Whether it was stopped, or the map has moved on and the previous owners no longer serve the rest."""
        return self._stopping.is_set() or self._cache.epoch != self._epoch

    def _await_room(self, size_bytes: int) -> None:
        """Wait while others take what moves away from here, unless nothing was taken since the last vain wait."""
        while not self._cache.has_free_room(size_bytes) and self._cache.handed_over != self._waited_in_vain_at:
            seen = self._cache.handed_over
            gives_up_at = self._clock() + _ROOM_SECONDS + 2 * size_bytes / self._bytes_per_second
            while self._cache.handed_over == seen and self._waited_in_vain_at != seen and not self._is_over():
                if self._clock() >= gives_up_at:
                    self._waited_in_vain_at = seen
                time.sleep(_LOOK_SECONDS)
            if self._is_over():
                return

    def _pull_one(self, listed: Listed) -> int | None:
        """Pull one entry. Gives its bytes, 0 if it is already here or gone from the source, None if it does not fit."""
        if not self._cache.would_keep(listed.size_bytes, listed.rank):
            return None
        fill = self._cache.begin_pull_fill(listed.key, self._epoch)
        if fill is None:
            return 0
        entry = None
        try:
            entry = self._sources[listed.source].fetch(fill.key)
        finally:
            if entry is None:
                self._cache.abandon_fill(fill)
        if entry is None:
            return 0
        fill.from_previous = True
        kept = self._cache.complete_pull_fill(fill, entry, listed.rank)
        return len(entry.body) if kept else None


class _Pace:
    """Keeps a rate: says how long to pause after each piece."""

    def __init__(self, bytes_per_second: int, clock: Callable[[], float]) -> None:
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._due_at = clock()

    def pause_after(self, size_bytes: int) -> float:
        now = self._clock()
        # Lost time is not made up for: during a burst nothing would be handed over in exchange.
        self._due_at = max(self._due_at, now) + size_bytes / self._bytes_per_second
        return max(0.0, self._due_at - now)
