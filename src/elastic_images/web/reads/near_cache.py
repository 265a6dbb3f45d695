"""The near cache: a web process's small copy of the very hottest images.

It keeps one popular image from saturating its owner, and saves the common hit a second hop. It follows the rules of
every cache in the pool (`core.coherent_cache`); this module only decides what to let in.
"""

from __future__ import annotations

from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache, Refusal
from elastic_images.core.entry import Entry
from elastic_images.core.fills import Fill, FillTicket
from elastic_images.pool.lease_clock import lease_clock

_REMEMBERED_KEYS = 8192
_POPULAR_READS = 2
_REJECTED_READS = 1000
_LARGEST_SHARE = 8


class PopularKeys:
    """Counts reads by key, and forgets: a key is popular if it is read again before many others are.

    Threads may share it; a count lost between them makes a key popular one read later.
    """

    def __init__(self, remembered_keys: int = _REMEMBERED_KEYS, popular_reads: int = _POPULAR_READS) -> None:
        self._remembered_keys = remembered_keys
        self._popular_reads = popular_reads
        self._counts: dict[str, int] = {}

    def count_read(self, key: str) -> bool:
        """Count a read. Gives whether the key is popular."""
        counts = self._counts
        count = counts.get(key, 0) + 1
        if len(counts) >= self._remembered_keys:
            self._counts = counts = {}
        counts[key] = count
        return count >= self._popular_reads

    def reject(self, key: str) -> None:
        """Do not call the key popular for a long time."""
        self._counts[key] = -_REJECTED_READS


class NearCache:
    """A coherent cache of all partitions, and what it lets in. Safe to share between threads."""

    def __init__(self, capacity_bytes: int) -> None:
        self.cache = CoherentCache(ByteCache(capacity_bytes, "LRU"), lease_clock, slot=None)
        self._popular_keys = PopularKeys()
        self._largest_bytes = capacity_bytes // _LARGEST_SHARE

    def wants(self, key: str) -> bool:
        """Count a miss. Gives whether the image should be fetched whole and kept."""
        return self._popular_keys.count_read(key)

    def reject(self, key: str) -> None:
        """The image is too large. Otherwise each of its reads would begin a fill, for which others wait in vain."""
        self._popular_keys.reject(key)

    def fits(self, body_bytes: int) -> bool:
        """Whether an image of this size is kept: a larger one would push out most others."""
        return body_bytes <= self._largest_bytes

    def begin_fill(self, key: str) -> Entry | FillTicket | None:
        """Count a miss and, if the image is wanted, join or register its fill.

        The entry, if it has come in since; None if the image is not wanted or the cache is dark.
        """
        if not self.wants(key):
            return None
        found = self.cache.lookup_or_begin_fill(key)
        return None if isinstance(found, Refusal) else found

    def complete_fill(self, fill: Fill, entry: Entry) -> None:
        """End a fill. The entry is not kept if it does not fit."""
        if self.fits(len(entry.body)):
            self.cache.complete_fill(fill, entry)
        else:
            self.reject(fill.key)
            self.cache.release_fill(fill, entry)
