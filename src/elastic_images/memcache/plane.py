"""The node's data plane: images by key, answered in front of Flask's dispatch.

Flask's dispatch costs ten times what answering from memory costs, so that reads never see it.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from elastic_images.apps_wsgi import error_answer
from elastic_images.core.coherence import Refusal
from elastic_images.core.errors import Conflict, ElasticImagesError, InvalidKey, NotFound, NotMine, Unauthenticated
from elastic_images.core.serving import Answer, answer, is_conditional, whole
from elastic_images.memcache.node import CacheNode

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

IMAGES, PEER = "/images/", "/peer/"
_HIT, _MISS, _STALE = [("X-Cache", "HIT")], [("X-Cache", "MISS")], [("X-Cache", "STALE")]


class NodePlane:
    """WSGI: answers `/images/<key>` and `/peer/<key>`; everything else goes to the app behind it."""

    def __init__(
        self,
        node: CacheNode,
        token: str,
        behind: WSGIApplication,
        *,
        serve_stale_seconds: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._expected = f"Bearer {token}".encode()
        self._behind = behind
        self._serve_stale_seconds = serve_stale_seconds
        self._clock = clock

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer in the request's own thread; a miss holds it until the fill is done."""
        path: str = environ["PATH_INFO"]
        read: Callable[[str, WSGIEnvironment], Answer]
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self._behind(environ, start_response)
        if path.startswith(IMAGES):
            read, raw = self._image, path[len(IMAGES) :]
        elif path.startswith(PEER):
            read, raw = self._peer, path[len(PEER) :]
        else:
            return self._behind(environ, start_response)
        try:
            self._check(environ)
            status, headers, body = read(_key(raw), environ)
        except ElasticImagesError as error:
            status, headers, body = error_answer(error)
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _check(self, environ: WSGIEnvironment) -> None:
        if not hmac.compare_digest(environ.get("HTTP_AUTHORIZATION", "").encode(), self._expected):
            raise Unauthenticated("A cache node needs the internal token.")
        wanted = environ.get("HTTP_X_INCARNATION")
        if wanted is not None and wanted != self._node.cache.incarnation:
            raise Conflict("This is another incarnation.")

    def _image(self, key: str, environ: WSGIEnvironment) -> Answer:
        if "HTTP_X_STALE" in environ:
            return self._stale(key)
        entry, hit = self._node.get(key)
        now = self._clock()
        if "HTTP_X_WHOLE" in environ or not is_conditional(environ):
            status, headers, body = whole(entry, now)
        else:
            status, headers, body = answer(entry, environ, now)
        return Answer(status, headers + (_HIT if hit else _MISS), body)

    def _stale(self, key: str) -> Answer:
        """What is in memory, however old, where SERVE_STALE allows it; asked for when storage cannot be."""
        entry = self._node.cache.stale(key, self._serve_stale_seconds)
        if entry is None:
            raise NotFound("Not in memory.")
        status, headers, body = whole(entry, self._clock())
        return Answer(status, headers + _STALE, body)

    def _peer(self, key: str, _environ: WSGIEnvironment) -> Answer:
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
        raise InvalidKey("A key in a path is percent-encoded UTF-8.") from None
