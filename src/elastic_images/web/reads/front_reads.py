"""The reads that web serves on the front's thread (`front.reads.Reads`)."""

from __future__ import annotations

from collections.abc import Callable

from elastic_images.core.entry import Entry
from elastic_images.core.errors import ElasticImagesError
from elastic_images.front.reads import Environ, RequestKind, UpstreamRequest, WholeImage, WholeRead
from elastic_images.http.answer import Answer
from elastic_images.http.serving import answer, is_conditional
from elastic_images.metrics.counters import Counters
from elastic_images.web.reads.near_cache import NearCache
from elastic_images.web.reads.plane import ImagePlane
from elastic_images.web.reads.relay import Relays
from elastic_images.web.request_path import IMAGES


class WebFrontReads:
    """Serves near hits at once, relays to the owner node, and leaves whatever may wait to the data plane."""

    prefixes = (IMAGES.encode(),)
    judges_each = True

    def __init__(
        self,
        plane: ImagePlane,
        near: NearCache | None,
        relays: Relays,
        counters: Counters,
        may_answer: Callable[[Environ], bool],
    ) -> None:
        """`may_answer`: whether the Host is allowed."""
        self._lookup = near.cache.lookup if near is not None else lambda _name: None
        self._count_hit = counters.counter("hits").increment
        self._may_answer = may_answer
        self.upstream_request: Callable[[WholeRead], UpstreamRequest | None] = relays.begin_relay
        self._plane = plane
        self._free = plane.viewers.free
        self._known = plane.viewers.known
        self.respond = plane.begin_response

    def classify(self, environ: Environ) -> RequestKind:
        """See `front.reads.Reads`."""
        if not self._may_answer(environ):
            return RequestKind.BACKEND
        return RequestKind.CONDITIONAL if is_conditional(environ) else RequestKind.WHOLE

    def name_of(self, environ: Environ) -> str | None:
        """See `front.reads.Reads`. What is no key is left to `respond`, which says why."""
        try:
            return self._plane.requested.name_for_strangers(environ)
        except ElasticImagesError:
            return None

    def front_hit(self, name: str, environ: Environ, now: float) -> WholeImage | None:
        """See `front.reads.Reads`. A name found in memory is a valid key and needs no check."""
        entry = self._lookup(name)
        if entry is None:
            return None
        query = environ.get("QUERY_STRING")
        if (query or entry.visibility != self._free) and not self._is_seen(entry, environ):
            return None
        self._count_hit()
        if query:
            return self._plane.headers.presented_head(entry, query, now), entry.body
        return entry.head_at(now), entry.body

    def front_answer(self, name: str, environ: Environ, now: float) -> Answer | None:
        """See `front.reads.Reads`."""
        entry = self._lookup(name)
        if entry is None or not self._is_seen(entry, environ):
            return None
        self._count_hit()
        given = answer(entry, environ, now)
        query = environ.get("QUERY_STRING", "")
        return self._plane.headers.presented(given, entry.original, entry.visibility, query)

    def _is_seen(self, entry: Entry, environ: Environ) -> bool:
        """Whether the client is known to see it; `respond` finds out about others, and refuses."""
        if entry.visibility == self._free:
            query = environ.get("QUERY_STRING")
            # The front remembers what an address asks for, and not for how long its signature is right.
            if not query or not self._plane.requested.presentation(query).signed:
                return True
        viewer = self._known(environ)
        return viewer is not None and viewer.sees(entry.visibility, entry.owner_id)
