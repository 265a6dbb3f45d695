"""Makes the renditions of a node's keys, from the originals that it has or fetches."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from elastic_images.core.coherent_cache import CoherentCache, Refusal
from elastic_images.core.entry import FETCH_SECONDS, Entry
from elastic_images.core.errors import NotMine, Unavailable
from elastic_images.core.fills import Fill, FillAbandoned
from elastic_images.core.image_facts import quoted
from elastic_images.core.renditions import split_name
from elastic_images.http.entries import fact_headers
from elastic_images.imaging.imaging import Imaging, Priority, Rendition
from elastic_images.memcache.fill_sources import FillSource, lead
from elastic_images.metrics.rendition_figures import RenditionFigures

PLACES = 8
"""The most renditions on their way through imaging: each of them holds its original."""
_KEPT_FROM_STRANGERS = 2
"""Places that strangers' renditions never take."""
_SECONDS = 120.0
"""Much longer than anybody waits: what was made late is kept, and need not be begun again."""


class RenditionMaker:
    """Makes what a rendition's fill is for. Safe to share between threads."""

    def __init__(
        self,
        cache: CoherentCache,
        source: FillSource,
        imaging: Imaging,
        figures: RenditionFigures,
        *,
        places: int = PLACES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`source` should be patient."""
        self._cache = cache
        self._source = source
        self._imaging = imaging
        self._figures = figures
        self._places = threading.BoundedSemaphore(places)
        self._stranger_places = threading.BoundedSemaphore(places - _KEPT_FROM_STRANGERS)
        self._clock = clock

    def make(self, fill: Fill, priority: Priority) -> Entry:
        """The rendition that a registered fill is for: the previous owner's, otherwise a new one.

        Notes in the fill where it came from. Raises NotFound, NotMine, Unavailable, and as `Imaging.render`.
        """
        key, spec = split_name(fill.key)
        found = self._source.from_previous(fill.key, fill.partition)
        if found is not None:
            fill.from_previous = True
            return found
        deadline = self._clock() + _SECONDS
        with self._figures.one() as count, self._place(priority):
            if spec is None or not self._cache.capacity_bytes:
                # Without a cache, storage makes it, so that no original travels for nothing.
                return self._source.fetch(fill.key, fill.partition)[0]
            original, fill.made = self._original(key, deadline)
            made = self._imaging.render(original.body, spec, priority=priority, deadline=deadline)
            count(made.content_type)
            return rendition_entry(fill.key, original, made)

    @contextlib.contextmanager
    def _place(self, priority: Priority) -> Iterator[None]:
        with contextlib.ExitStack() as held:
            wanted = [self._places]
            if priority is Priority.STRANGER_RENDITION:
                wanted.insert(0, self._stranger_places)
            for places in wanted:
                if not places.acquire(timeout=_SECONDS):
                    raise Unavailable("Too many renditions are being made; try again in a moment.")
                held.callback(places.release)
            yield

    def _original(self, key: str, deadline: float) -> tuple[Entry, bool]:
        """The original, and whether it was in some cache's memory. Its fill is registered after the rendition's."""
        while True:
            found = self._cache.original_or_begin_fill(key)
            if isinstance(found, Entry):
                return found, True
            if isinstance(found, Refusal):
                raise NotMine(f"Not mine any more: {found.name.lower()} at epoch {self._cache.epoch}.")
            fill = found.fill
            try:
                if found.leader:
                    return lead(self._cache, fill, partial(self._fetched, fill)), fill.from_previous
                return fill.wait(deadline - self._clock()), fill.from_previous
            except FillAbandoned:
                continue
            except Unavailable:
                # A reader of the image itself has less patience.
                if found.leader or self._clock() >= deadline:
                    raise

    def _fetched(self, fill: Fill) -> Entry:
        entry, fill.from_previous = self._source.fetch(fill.key, fill.partition)
        return entry


def rendition_entry(name: str, original: Entry, made: Rendition) -> Entry:
    """The entry of a rendition, with the facts of its original: who may see it, too."""
    visibility, owner_id = original.visibility, original.owner_id
    cost_seconds = FETCH_SECONDS + made.processor_seconds
    version, updated_at = original.version, original.updated_at
    return Entry(
        name,
        made.data,
        content_type=made.content_type,
        etag=quoted(hashlib.sha256(made.data).hexdigest()),
        version=version,
        updated_at=updated_at,
        visibility=visibility,
        owner_id=owner_id,
        original=original.original,
        cost_seconds=cost_seconds,
        extra_headers=fact_headers(version, updated_at, visibility, owner_id, original.original, cost_seconds),
    )
