"""One cache node: serves from memory, or fills and serves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from elastic_images.core.coherent_cache import CoherentCache, Refusal
from elastic_images.core.entry import Entry
from elastic_images.core.errors import ElasticImagesError, NotFound, NotMine, Unavailable
from elastic_images.core.fills import Fill, FillAbandoned
from elastic_images.imaging.imaging import Priority
from elastic_images.memcache.fill_sources import FillSource, lead
from elastic_images.memcache.renditions import RenditionMaker
from elastic_images.metrics.counters import Counters

FILL_PLACES = 16
"""The most fills from storage under way (I7), so that a lost node or a cleared cache does not become a storm."""
_PLACE_SECONDS = 0.5
_FILL_SECONDS = 2.2
"""Shorter than web waits for a node: slow storage must not make a node look broken while it can still serve hits."""

RENDITION_SECONDS = 28.0
"""How long a request waits for a rendition that another one has made; web waits for 30 s."""


class Found(NamedTuple):
    """An entry, and whether it was in some cache's memory."""

    entry: Entry
    hit: bool


class CacheNode:
    """A read-through cache that counts hits and misses. Safe to share between threads.

    Each image and rendition is filled once at a time; other requests for it wait for that fill, and get its error if it
    fails.
    """

    def __init__(
        self,
        cache: CoherentCache,
        source: FillSource,
        maker: RenditionMaker,
        counters: Counters,
        *,
        places: int = FILL_PLACES,
        fill_seconds: float = _FILL_SECONDS,
    ) -> None:
        self.cache = cache
        self._source = source
        self._maker = maker
        self._count_hit = counters.counter("hits").increment
        self._count_made = counters.counter("made").increment
        self._count_stored = counters.counter("stored").increment
        self._count_not_found = counters.counter("not_found").increment
        self._count_handed_over = counters.counter("handed_over").increment
        self._count_handed_over_bytes = counters.counter("handed_over_bytes").add
        self._places = threading.BoundedSemaphore(places)
        self._fill_seconds = fill_seconds

    def read_from_memory(self, key: str) -> Entry | None:
        """The entry, if it is in memory and may be served. Never waits."""
        entry = self.cache.lookup(key)
        if entry is not None:
            self._count_hit()
        return entry

    def read_or_fill(self, key: str) -> Found:
        """The image, fetched if it is not in memory.

        Raises:
            NotMine: by this node's map the partition belongs to another, or its lease has expired.
            NotFound: there is no such image.
            Unavailable: storage does not respond, or too many fills are under way.
        """
        return self._read(key, self._fetch, self._fill_seconds)

    def read_or_make(self, name: str, priority: Priority) -> Found:
        """The rendition, made if it is not in memory: that is finished even if nobody waits any more.

        Raises as `read_or_fill`, and as `Imaging.render`.
        """
        return self._read(name, partial(self._maker.make, priority=priority), RENDITION_SECONDS)

    def check_mine(self, name: str) -> None:
        """Raises NotMine if this node may not answer for the name now."""
        found = self.cache.peek(name)
        if isinstance(found, Refusal):
            raise self._not_mine(found)

    def hand_over(self, key: str) -> Entry | Refusal | None:
        """As `CoherentCache.hand_over`, counted."""
        found = self.cache.hand_over(key)
        if isinstance(found, Entry):
            self._count_handed_over()
            self._count_handed_over_bytes(len(found.body))
        return found

    def demote_leaving(self, partitions: frozenset[int], cut: float, policy: str) -> int:
        """Demote entries of `partitions` that leave and that their new owner declined; gives how many.

        It declined those of the shared rank `cut` or less, by its policy. With another policy here, none are demoted.
        """
        if policy != self.cache.policy:
            return 0
        cut = self.cache.local_rank(cut, policy)
        leaving = self.cache.entries(partitions & self.cache.leaving)
        declined = [entry.key for entry, rank in reversed(leaving) if rank <= cut]
        self.cache.demote(declined)
        return len(declined)

    def _read(self, name: str, fetch: Callable[[Fill], Entry], wait_seconds: float) -> Found:
        while True:
            found = self.cache.lookup_or_begin_fill(name)
            if isinstance(found, Entry):
                self._count_hit()
                return Found(found, hit=True)
            if isinstance(found, Refusal):
                raise self._not_mine(found)
            fill, joined = found.fill, not found.leader
            try:
                entry = fill.wait(wait_seconds) if joined else lead(self.cache, fill, partial(fetch, fill))
            except FillAbandoned:
                continue
            except NotFound:
                self._count_not_found()
                raise
            except ElasticImagesError:
                self._count(fill, joined=joined)
                raise
            self._count(fill, joined=joined)
            return Found(entry, hit=joined or fill.from_previous)

    def _not_mine(self, refusal: Refusal) -> NotMine:
        return NotMine(f"Not mine: {refusal.name.lower()} at epoch {self.cache.epoch}.")

    def _fetch(self, fill: Fill) -> Entry:
        if not self._places.acquire(timeout=_PLACE_SECONDS):
            raise Unavailable("Too many images are being fetched from storage; try again in a moment.")
        try:
            entry, fill.from_previous = self._source.fetch(fill.key, fill.partition)
            return entry
        finally:
            self._places.release()

    def _count(self, fill: Fill, *, joined: bool) -> None:
        # A fill is one miss: those who joined it had a hit that took longer.
        if joined or fill.from_previous:
            self._count_hit()
        elif fill.made:
            self._count_made()
        else:
            self._count_stored()
