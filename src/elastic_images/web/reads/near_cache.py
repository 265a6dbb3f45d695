"""The near cache: a web process's small copy of the very hottest images.

So that one popular image cannot saturate its one owner, and the common hit costs no second hop. Its rules are those
of every cache of the pool (`core.coherence`); here is only what it lets in.
"""

from __future__ import annotations

from elastic_images.core.cache import ByteCache
from elastic_images.core.coherence import CoherentCache, Fill
from elastic_images.core.entry import Entry
from elastic_images.core.errors import ElasticImagesError
from elastic_images.pool.lease_clock import lease_clock

_REMEMBERED_KEYS = 8192
_POPULAR_READS = 2
_LARGEST_SHARE = 8


class Popularity:
    """Counts reads by key, and forgets: a key is popular when it is read again before many others came.

    Threads may share it; a count lost between them makes a key popular one read later.
    """

    def __init__(self, remembered_keys: int = _REMEMBERED_KEYS, popular_reads: int = _POPULAR_READS) -> None:
        self._remembered_keys = remembered_keys
        self._popular_reads = popular_reads
        self._counts: dict[str, int] = {}

    def read(self, key: str) -> bool:
        """Count a read, and say whether the key is popular."""
        counts = self._counts
        count = counts.get(key, 0) + 1
        if len(counts) >= self._remembered_keys:
            self._counts = counts = {}
        counts[key] = count
        return count >= self._popular_reads


class PoolUnused(ElasticImagesError):
    """A near fill could not use the pool: whoever waited for it asks storage himself."""


class NearCache:
    """A coherent cache of all partitions, and what it lets in. Safe to share between threads."""

    def __init__(self, capacity_bytes: int) -> None:
        self.cache = CoherentCache(ByteCache(capacity_bytes, "LRU"), lease_clock, slot=None)
        self._popularity = Popularity()
        self._largest_bytes = capacity_bytes // _LARGEST_SHARE

    def wants(self, key: str) -> bool:
        """Count a read that memory did not answer; whether the image should be fetched whole and kept."""
        return self._popularity.read(key)

    def end(self, fill: Fill, entry: Entry) -> None:
        """End a fill. The entry is kept unless it is so large that this one image would push out all the others."""
        if len(entry.body) <= self._largest_bytes:
            self.cache.complete(fill, entry)
        else:
            self.cache.pass_on(fill, entry)

    def give_up(self, fill: Fill) -> None:
        """End a fill for which the pool could not be used."""
        self.cache.fail(fill, PoolUnused("The pool cannot be used."))
