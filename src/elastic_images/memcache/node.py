"""One cache node: answers from memory, or fills and answers."""

from __future__ import annotations

import threading
from typing import NamedTuple

from elastic_images.core.coherence import Begun, CoherentCache, Fill, Refusal
from elastic_images.core.entry import Entry
from elastic_images.core.errors import ElasticImagesError, NotMine, Unavailable
from elastic_images.memcache.fill_sources import Source
from elastic_images.metrics.counters import Counters

FILL_PLACES = 16
"""Fills under way against storage, at the most (I7): a lost node or a cleared cache must not become a storm."""
_PLACE_SECONDS = 0.5
_FILL_SECONDS = 2.2
"""Below web's patience with a node: a slow storage must not make the node look broken, whose hits go on."""


class PullGivenUp(ElasticImagesError):
    """A fill that nobody asked for ended without bytes: whoever joined it starts his own."""


class Found(NamedTuple):
    """An entry, and whether it was found without storage."""

    entry: Entry
    hit: bool


class CacheNode:
    """A read-through cache. Safe to share between threads.

    One fill for a key at a time; whoever asks meanwhile waits for it, and a failed fill frees them with its error.
    """

    def __init__(self, cache: CoherentCache, source: Source, counters: Counters, *, places: int = FILL_PLACES) -> None:
        self.cache = cache
        self._source = source
        self._hit = counters.counter("hits").increment
        self._miss = counters.counter("misses").increment
        self._handed_over = counters.counter("handed_over").increment
        self._handed_over_bytes = counters.counter("handed_over_bytes").add
        self._places = threading.BoundedSemaphore(places)

    def get(self, key: str) -> Found:
        """The entry of `key`.

        Raises:
            NotMine: by this node's map the partition is another's, or its lease is over.
            NotFound: there is no such image.
            Unavailable: storage does not answer, or all places for fills were taken for too long.
        """
        while True:
            begun = self.cache.begin(key)
            if isinstance(begun, Entry):
                self._hit()
                return Found(begun, hit=True)
            if isinstance(begun, Refusal):
                raise NotMine(f"Not mine: {begun.name.lower()} at epoch {self.cache.epoch}.")
            try:
                return self._finish(begun)
            except PullGivenUp:
                continue

    def hit(self, key: str) -> Entry | None:
        """The entry of `key` where it is in memory and may be answered, and nothing else. Never waits."""
        entry = self.cache.hit(key)
        if entry is not None:
            self._hit()
        return entry

    def hand_over(self, key: str) -> Entry | Refusal | None:
        """What is in memory, for the partition's new owner; None where it is not there."""
        found = self.cache.hand_over(key)
        if isinstance(found, Entry):
            self._handed_over()
            self._handed_over_bytes(len(found.body))
        return found

    def let_go(self, partitions: frozenset[int], older_than_seconds: float) -> int:
        """Give up first, where room is needed, what leaves with `partitions` and its new owner does not want.

        How many entries that are: those which were last used so long ago.
        """
        leaving = self.cache.entries(partitions & self.cache.leaving)
        unwanted = [entry.key for entry, age in reversed(leaving) if age >= older_than_seconds]
        self.cache.let_go(unwanted)
        return len(unwanted)

    def _finish(self, begun: Begun) -> Found:
        try:
            entry = self._fill(begun.fill) if begun.leader else begun.fill.wait(_FILL_SECONDS)
        except PullGivenUp:
            raise
        except ElasticImagesError:
            self._count(begun)
            raise
        self._count(begun)
        return Found(entry, hit=begun.fill.from_previous)

    def _fill(self, fill: Fill) -> Entry:
        try:
            entry = self._fetch(fill)
        except BaseException as error:
            # Whatever it was, those who wait must not wait for ever.
            self.cache.fail(fill, error if isinstance(error, Exception) else Unavailable("The fill was given up."))
            raise
        self.cache.complete(fill, entry)
        return entry

    def _fetch(self, fill: Fill) -> Entry:
        if not self._places.acquire(timeout=_PLACE_SECONDS):
            raise Unavailable("Too many images are being fetched from storage.")
        try:
            entry, fill.from_previous = self._source.fetch(fill.key, fill.partition)
            return entry
        finally:
            self._places.release()

    def _count(self, begun: Begun) -> None:
        if begun.fill.from_previous:
            self._hit()
        else:
            self._miss()
