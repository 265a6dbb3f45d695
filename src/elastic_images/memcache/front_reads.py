"""The reads that a node serves on the front's thread (`front.reads.Reads`)."""

from __future__ import annotations

from elastic_images.core.errors import InvalidKey
from elastic_images.front.reads import Environ, RequestKind, WholeImage, WholeRead
from elastic_images.http.answer import Answer
from elastic_images.http.serving import is_conditional
from elastic_images.memcache.node import CacheNode
from elastic_images.memcache.plane import IMAGES, PEER, RENDITIONS, NodePlane, decoded_path, may_have

_HIT = b"X-Cache: HIT\r\n"


class NodeFrontReads:
    """Serves hits at once and leaves everything else to the data plane."""

    prefixes = (IMAGES.encode(), PEER.encode(), RENDITIONS.encode())
    judges_each = False

    def __init__(self, plane: NodePlane, node: CacheNode) -> None:
        self._plane = plane
        self._cache = node.cache
        self._read_from_memory = node.read_from_memory
        self.respond = plane.begin_response

    def classify(self, environ: Environ) -> RequestKind:
        """See `front.reads.Reads`. The token is checked here, once for the fields that it comes with."""
        if not self._plane.is_authorized(environ) or "HTTP_X_STALE" in environ:
            return RequestKind.CONDITIONAL
        whole = "HTTP_X_WHOLE" in environ or not is_conditional(environ)
        return RequestKind.WHOLE if whole else RequestKind.CONDITIONAL

    def name_of(self, environ: Environ) -> str | None:
        """See `front.reads.Reads`."""
        path = environ["PATH_INFO"]
        prefix = next((one for one in (IMAGES, RENDITIONS) if path.startswith(one)), None)
        try:
            return decoded_path(path, prefix) if prefix else None
        except InvalidKey:
            return None

    def front_hit(self, name: str, environ: Environ, now: float) -> WholeImage | None:
        """See `front.reads.Reads`."""
        wanted = environ.get("HTTP_X_INCARNATION")
        if wanted is not None and wanted != self._cache.incarnation:
            return None
        entry = self._read_from_memory(name)
        if entry is None or not may_have(entry, environ):
            return None
        return entry.head_at(now) + _HIT, entry.body

    def front_answer(self, name: str, environ: Environ, now: float) -> Answer | None:  # noqa: ARG002
        """See `front.reads.Reads`. Conditions between our own processes are rare."""
        return None

    def upstream_request(self, read: WholeRead) -> None:  # noqa: ARG002
        """See `front.reads.Reads`. A fill asks on the thread that waits for it."""
        return
