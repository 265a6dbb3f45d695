"""The node's data plane: serves images by key, in front of Flask.

Flask's dispatch costs ten times as much as serving from memory, so reads bypass it.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from elastic_images.core.coherent_cache import Refusal
from elastic_images.core.errors import Conflict, ElasticImagesError, InvalidKey, NotFound, NotMine, Unauthenticated
from elastic_images.front.reads import Environ
from elastic_images.http.answer import Answer
from elastic_images.http.problems import problem_answer
from elastic_images.http.read_middleware import reads_in_front_of
from elastic_images.http.serving import answer, is_conditional, whole
from elastic_images.memcache.node import CacheNode

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

IMAGES, PEER = "/images/", "/peer/"
_HIT, _MISS, _STALE = [("X-Cache", "HIT")], [("X-Cache", "MISS")], [("X-Cache", "STALE")]


class NodePlane:
    """Serves `/images/<key>` and `/peer/<key>`. Safe to share between threads."""

    def __init__(
        self,
        node: CacheNode,
        token: str,
        *,
        serve_stale_seconds: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._expected = f"Bearer {token}".encode()
        self._serve_stale_seconds = serve_stale_seconds
        self._clock = clock

    def in_front_of(self, behind: WSGIApplication) -> WSGIApplication:
        """WSGI that serves `/images/<key>` and `/peer/<key>`, and leaves everything else to `behind`."""
        return reads_in_front_of(behind, self.respond, lambda environ: environ["PATH_INFO"].startswith((IMAGES, PEER)))

    def respond(self, environ: Environ) -> Answer:
        """Answer a GET or HEAD, errors included; the caller leaves out the body of a HEAD.

        Blocks the calling thread on a miss until the fill is done.
        """
        path = environ["PATH_INFO"]
        try:
            self._check(environ)
            if path.startswith(PEER):
                return self._peer(_key(path[len(PEER) :]))
            return self._image(_key(path[len(IMAGES) :]), environ)
        except ElasticImagesError as error:
            return problem_answer(error)

    def is_authorized(self, environ: Environ) -> bool:
        """Whether the caller has the internal token."""
        return hmac.compare_digest(environ.get("HTTP_AUTHORIZATION", "").encode(), self._expected)

    def _check(self, environ: Environ) -> None:
        if not self.is_authorized(environ):
            raise Unauthenticated("A cache node needs the internal token.")
        wanted = environ.get("HTTP_X_INCARNATION")
        if wanted is not None and wanted != self._node.cache.incarnation:
            raise Conflict("This is another incarnation.")

    def _image(self, key: str, environ: Environ) -> Answer:
        if "HTTP_X_STALE" in environ:
            return self._stale(key)
        entry, hit = self._node.read_or_fill(key)
        now = self._clock()
        if "HTTP_X_WHOLE" in environ or not is_conditional(environ):
            status, headers, body = whole(entry, now)
        else:
            status, headers, body = answer(entry, environ, now)
        return Answer(status, headers + (_HIT if hit else _MISS), body)

    def _stale(self, key: str) -> Answer:
        """Serve from memory without a lease, as SERVE_STALE allows; web asks for it when storage is unavailable."""
        entry = self._node.cache.peek_stale(key, self._serve_stale_seconds)
        if entry is None:
            raise NotFound("Not in memory.")
        status, headers, body = whole(entry, self._clock())
        return Answer(status, headers + _STALE, body)

    def _peer(self, key: str) -> Answer:
        entry = self._node.hand_over(key)
        if isinstance(entry, Refusal):
            raise NotMine(f"Not mine: {entry.name.lower()}.")
        if entry is None:
            raise NotFound("Not in memory.")
        return whole(entry, self._clock())


def _key(raw: str) -> str:
    try:
        return raw.encode("latin-1").decode()
    except UnicodeError:
        raise InvalidKey("The key in a path must be percent-encoded UTF-8.") from None
