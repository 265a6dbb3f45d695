"""The node's data plane: serves images and renditions by name, in front of Flask.

Flask's dispatch costs ten times as much as serving from memory, so reads bypass it.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from elastic_images.core.coherent_cache import Refusal
from elastic_images.core.entry import Entry
from elastic_images.core.errors import Conflict, ElasticImagesError, InvalidKey, NotFound, NotMine, Unauthenticated
from elastic_images.core.protocol import PROTOCOL, PROTOCOL_HEADER, knows_visibility
from elastic_images.core.renditions import is_rendition, preset, rendition_name, split_name
from elastic_images.front.reads import Environ
from elastic_images.http.answer import Answer, Later, answer_now
from elastic_images.http.entries import visibility_headers
from elastic_images.http.problems import problem_answer
from elastic_images.http.read_middleware import reads_in_front_of
from elastic_images.http.serving import answer, is_conditional, whole
from elastic_images.imaging.imaging import Priority
from elastic_images.memcache.node import CacheNode, Found

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

IMAGES, PEER, RENDITIONS = "/images/", "/peer/", "/renditions/"
_PRIORITIES = {"member": Priority.MEMBER_RENDITION, "stranger": Priority.STRANGER_RENDITION}
_PROTOCOL = (PROTOCOL_HEADER, str(PROTOCOL))
_HIT, _MISS, _STALE = [("X-Cache", "HIT")], [("X-Cache", "MISS")], [("X-Cache", "STALE")]


class NodePlane:
    """Serves `/images/<key>`, `/renditions/<name>` and `/peer/<name>`. Safe to share between threads."""

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
        """WSGI that serves images, renditions and peers, and leaves everything else to `behind`."""
        return reads_in_front_of(
            behind, self.respond, lambda environ: environ["PATH_INFO"].startswith((IMAGES, PEER, RENDITIONS))
        )

    def respond(self, environ: Environ) -> Answer:
        """As `begin_response`, waiting for what takes long."""
        return answer_now(self.begin_response(environ))

    def begin_response(self, environ: Environ) -> Answer | Later:
        """Answer a GET or HEAD, errors included; the caller leaves out the body of a HEAD.

        Blocks the calling thread on a miss until the fill is done; what makes a rendition is left for later.
        """
        path = environ["PATH_INFO"]
        try:
            self._check(environ)
            if path.startswith(PEER):
                return self._peer(decoded_path(path, PEER), environ)
            if path.startswith(RENDITIONS):
                return self._rendition(decoded_path(path, RENDITIONS), environ)
            return self._image(decoded_path(path, IMAGES), environ)
        except ElasticImagesError as error:
            return _problem(error)

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
            return self._stale(key, environ)
        if is_rendition(key):
            # Processes of protocol 1 name the two that they know in this way.
            key, _, name = key.partition("\0")
            return self._of(
                self._node.read_or_make(rendition_name(key, preset(name)), Priority.STRANGER_RENDITION), environ
            )
        return self._of(self._node.read_or_fill(key), environ)

    def _rendition(self, name: str, environ: Environ) -> Answer | Later:
        """From memory, or 202 if it is not there: it is made for those who say who waits for it.

        The 202 says who may see the original, if that is in memory: nothing is made for those who may not.
        """
        if "HTTP_X_STALE" in environ:
            return self._stale(name, environ)
        key, _ = split_name(name)  # a name that is none must not be looked for
        entry = self._node.read_from_memory(name)
        if entry is not None:
            return self._of(Found(entry, hit=True), environ)
        self._node.check_mine(name)
        waiting = environ.get("HTTP_X_MAKE")
        if waiting is None:
            original = self._node.cache.peek(key)
            told = visibility_headers(original.visibility, original.owner_id) if isinstance(original, Entry) else []
            return Answer("202 Accepted", [("Content-Length", "0"), *told], b"")
        priority = _PRIORITIES.get(waiting, Priority.STRANGER_RENDITION)
        urgent = priority is not Priority.STRANGER_RENDITION
        return Later(partial(self._make, name, priority, environ), urgent)

    def _make(self, name: str, priority: Priority, environ: Environ) -> Answer:
        try:
            return self._of(self._node.read_or_make(name, priority), environ)
        except NotFound as error:
            # 404 is what a node of protocol 1 says, which has no such path.
            return _problem(error)._replace(status="410 Gone")
        except ElasticImagesError as error:
            return _problem(error)

    def _of(self, found: Found, environ: Environ) -> Answer:
        entry, hit = found
        _check_caller(entry, environ)
        now = self._clock()
        if "HTTP_X_WHOLE" in environ or not is_conditional(environ):
            status, headers, body = whole(entry, now)
        else:
            status, headers, body = answer(entry, environ, now)
        return Answer(status, headers + (_HIT if hit else _MISS), body)

    def _stale(self, key: str, environ: Environ) -> Answer:
        """Serve from memory without a lease, as SERVE_STALE allows; web asks for it when storage is unavailable."""
        entry = self._node.cache.peek_stale(key, self._serve_stale_seconds)
        if entry is None:
            raise NotFound("Not in memory.")
        _check_caller(entry, environ)
        status, headers, body = whole(entry, self._clock())
        return Answer(status, headers + _STALE, body)

    def _peer(self, key: str, environ: Environ) -> Answer:
        entry = self._node.hand_over(key)
        if isinstance(entry, Refusal):
            raise NotMine(f"Not mine: {entry.name.lower()}.")
        if entry is None:
            raise NotFound("Not in memory.")
        _check_caller(entry, environ)
        return whole(entry, self._clock())


def may_have(entry: Entry, environ: Environ) -> bool:
    """Whether the calling process judges who may see the entry: those of protocol 2 get what everybody may see."""
    return entry.visibility == "public" or knows_visibility(environ.get("HTTP_X_ELASTIC_IMAGES_PROTOCOL"))


def _check_caller(entry: Entry, environ: Environ) -> None:
    if not may_have(entry, environ):
        raise NotMine("The caller does not know who may see this.")


def _problem(error: ElasticImagesError) -> Answer:
    # With the protocol: what a node of protocol 2 does not find, storage may only have kept from it.
    given = problem_answer(error)
    return given._replace(headers=[*given.headers, _PROTOCOL])


def decoded_path(path: str, prefix: str) -> str:
    """What follows the prefix in a path as WSGI spells it. Raises InvalidKey if it is no UTF-8."""
    try:
        return path[len(prefix) :].encode("latin-1").decode()
    except UnicodeError:
        raise InvalidKey("The key in a path must be percent-encoded UTF-8.") from None
