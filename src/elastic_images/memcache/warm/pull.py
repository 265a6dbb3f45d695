"""One pull: what an open resize brings to a node, moved entry by entry.

It lists keys, registers a fill for each, and only then asks for the bytes: an invalidation that falls between spoils
the fill. Nodes that exchange partitions wait for each other: what one has handed over makes room for what it gains.
The rate is bounded, so that reads are never starved.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from elastic_images.core.coherence import CoherentCache
from elastic_images.memcache.node import PullGivenUp
from elastic_images.memcache.warm.plan import Listed, PullPlan, plan_pull
from elastic_images.memcache.warm.sources import Source

_ROOM_SECONDS = 0.5
"""How long to wait for room that others make, before something colder is evicted or the entry is left where it is."""
_LOOK_SECONDS = 0.005
_APART_SECONDS = 0.06
"""Nodes begin to list so long one after the other: all at once they would hold up the readers of a small machine."""


class Pull:
    """A pull under the map of one epoch. Used once, by one thread; `stopping` ends it from another."""

    def __init__(
        self,
        slot: int,
        cache: CoherentCache,
        sources: Mapping[int, Source],
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
        self._began = cache.now()
        self._ranks = cache.statistics()["policy"] == "LRU"
        self._waited_in_vain = -1
        """How much was handed over when room was last waited for in vain."""

    def run(self, pulled: Callable[[int], None]) -> None:
        """Pull; `pulled` is told the bytes of each entry that came in, or was there already."""
        self._stopping.wait(self._slot * _APART_SECONDS)
        plan = self._plan()
        self._make_room(plan)
        # What found no room is tried once more: a node of colder entries may have taken nothing from here before.
        left = self._pull_all(plan.wanted, pulled)
        self._waited_in_vain = -1
        self._pull_all(left, pulled)

    def _pull_all(self, wanted: Iterable[Listed], pulled: Callable[[int], None]) -> list[Listed]:
        """Pull these; gives those for which there was no room."""
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
            pulled(pulled_bytes)
            self._stopping.wait(pace.pause_after(pulled_bytes))
        return left

    def _plan(self) -> PullPlan:
        own = [
            # Random replacement does not know what is hotter: what is there stays.
            Listed(age if self._ranks else 0.0, entry.key, entry.size_bytes, self._slot)
            for entry, age in self._cache.entries(self._cache.kept)
        ]
        there = {listed.key for listed in own}
        # Pages of a list that changes meanwhile may name a key twice.
        offered = {
            listed.key: listed
            for source in self._sources.values()
            for listed in source.offered()
            if listed.key not in there
        }
        return plan_pull(own, offered.values(), self._cache.capacity_bytes)

    def _make_room(self, plan: PullPlan) -> None:
        """Let go, here and at the sources, what is colder than all that is wanted."""
        self._cache.let_go(plan.let_go)
        if plan.cut_age_seconds is not None and self._ranks:
            for source in self._sources.values():
                source.decline(self._age_now(plan.cut_age_seconds))

    def _age_now(self, age_seconds: float) -> float:
        return age_seconds + self._cache.now() - self._began

    def _is_over(self) -> bool:
        """The map has moved on: what is still to be pulled is no longer to be had from its previous owner."""
        return self._stopping.is_set() or self._cache.epoch != self._epoch

    def _await_room(self, size_bytes: int) -> None:
        """Wait while others take what moves away from here; not again where nobody took anything meanwhile."""
        while not self._cache.has_spare_room(size_bytes) and self._cache.handed_over != self._waited_in_vain:
            seen = self._cache.handed_over
            gives_up_at = self._clock() + _ROOM_SECONDS + 2 * size_bytes / self._bytes_per_second
            while self._cache.handed_over == seen and self._waited_in_vain != seen and not self._is_over():
                if self._clock() >= gives_up_at:
                    self._waited_in_vain = seen
                time.sleep(_LOOK_SECONDS)
            if self._is_over():
                return

    def _pull_one(self, listed: Listed) -> int | None:
        """Bring one entry in. Its bytes, 0 where it is there or nowhere; None where there is no room for it."""
        if not self._cache.would_keep(listed.size_bytes, self._age_now(listed.age_seconds)):
            return None
        fill = self._cache.begin_pull(listed.key, self._epoch)
        if fill is None:
            return 0
        entry = None
        try:
            entry = self._sources[listed.source].fetch(fill.key)
        finally:
            if entry is None:
                self._cache.fail(fill, PullGivenUp("The previous owner has it no longer."))
        if entry is None:
            return 0
        fill.from_previous = True
        kept = self._cache.complete_pull(fill, entry, self._age_now(listed.age_seconds))
        return len(entry.body) if kept else None


class _Pace:
    """Keeps a rate: tells how long to pause after each piece."""

    def __init__(self, bytes_per_second: int, clock: Callable[[], float]) -> None:
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._due_at = clock()

    def pause_after(self, size_bytes: int) -> float:
        now = self._clock()
        # Time that was lost is not made up for: in a burst nothing would be handed over in exchange.
        self._due_at = max(self._due_at, now) + size_bytes / self._bytes_per_second
        return max(0.0, self._due_at - now)
