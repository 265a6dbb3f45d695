"""The image data plane of web: `GET|HEAD /images/<key>` from memory, from the owner node, or from storage.

It stands in front of Flask's dispatch and answers what needs no session. The order is: the near cache; the key's owner
node, over one kept-alive connection; storage, when the pool cannot be used, keeping nothing of what it says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs

from elastic_images.core.coherence import Begun, Fill, Refusal
from elastic_images.core.entry import Entry, Headers
from elastic_images.core.errors import ElasticImagesError, InvalidRequest, NotFound, Unavailable
from elastic_images.core.renditions import rendition_name
from elastic_images.front.reads import Environ
from elastic_images.http.answer import Answer
from elastic_images.http.entries import entry_from_answer, fact_headers
from elastic_images.http.lean_client import LeanAnswer
from elastic_images.http.problems import problem_answer
from elastic_images.http.read_middleware import reads_in_front_of
from elastic_images.http.serving import CONDITIONAL_HEADERS, answer, is_conditional, whole
from elastic_images.metrics.counters import Counters
from elastic_images.pool.router import Asked, PoolRouter
from elastic_images.web.reads.near_cache import NearCache, PoolUnused
from elastic_images.web.request_path import key_in_path

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

IMAGES = "/images/"
_RELAYED = (
    ("content-type", "Content-Type"),
    ("content-length", "Content-Length"),
    ("etag", "ETag"),
    ("accept-ranges", "Accept-Ranges"),
    ("last-modified", "Last-Modified"),
    ("content-range", "Content-Range"),
)
_NAMES = {name: name[5:].replace("_", "-").title() for name in CONDITIONAL_HEADERS}
_FILL_SECONDS = 10.0
_RELAYS = 96
BYPASS_PLACES = 40
"""Reads past the pool under way, at the most (I7): a lost node must not become a storm."""
_PLACE_SECONDS = 0.25
_PARAMETERS = 20


class EntryReader(Protocol):
    """The part of the storage client that a bypass needs."""

    def get_entry(self, key: str) -> Entry:
        """The image, read by a fresh transaction. Raises NotFound, Unavailable."""


class ImagePlane:
    """Reads images for web's clients. Safe to share between threads."""

    def __init__(
        self,
        router: PoolRouter,
        storage: EntryReader,
        counters: Counters,
        near: NearCache | None,
        *,
        public: bool,
        serve_stale_seconds: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`public`: whether answers may be kept by shared caches, as they may where anyone may read."""
        self._router = router
        self._storage = storage
        self._near = near
        self._clock = clock
        self._serve_stale_seconds = serve_stale_seconds
        self._hit = counters.counter("hits").increment
        self._bypassed = counters.counter("bypasses").increment
        self._stale_read = counters.counter("stale").increment
        self._failed = counters.counter("errors").increment
        self._relayed_hit = counters.counter("relayed_hits").increment
        self._relayed_miss = counters.counter("relayed_misses").increment
        self._relays = _ReadBulkhead(_RELAYS)
        self._waiting = _ReadBulkhead(BYPASS_PLACES)
        self._public_headers: Headers = [
            # A max-age would let a client show what was replaced since (I2).
            ("Cache-Control", f"{'public' if public else 'private'}, no-cache"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "default-src 'none'; sandbox"),
        ]
        self._near_headers: Headers = [*self._public_headers, ("X-Cache", "HIT-NEAR")]

    def in_front_of(self, behind: WSGIApplication, may_answer: Callable[[WSGIEnvironment], bool]) -> WSGIApplication:
        """WSGI that answers reads of images where `may_answer`, and leaves everything else to `behind`."""

        def is_mine(environ: WSGIEnvironment) -> bool:
            return bool(environ["PATH_INFO"].startswith(IMAGES)) and may_answer(environ)

        return reads_in_front_of(behind, self.respond, is_mine)

    def respond(self, environ: Environ) -> Answer:
        """The answer to a GET or HEAD of `/images/<key>`, errors included; for HEAD its body is to be left out."""
        return self._or_error(lambda: self._image(_name(environ), environ))

    def go_on(self, asked: Asked, answer: LeanAnswer | None, key: str) -> Answer:
        """The whole image, errors included, where its owner was asked already and this is what came of it."""
        return self._or_error(lambda: self._from_answer(key, self._router.go_on(asked, answer, key), _PLAIN_GET))

    def read(self, key: str) -> Answer:
        """The whole image, counted as a read. Raises NotFound, Unavailable."""
        return self._image(key, {"REQUEST_METHOD": "GET"})

    def locate(self, key: str) -> tuple[int, int | None]:
        """The key's partition (0 to 15) and its owner's slot, None while no pool is known."""
        return self._router.locate(key)

    def _or_error(self, find: Callable[[], Answer]) -> Answer:
        try:
            return find()
        except ElasticImagesError as error:
            if error.is_ours:
                self._failed()
            return problem_answer(error)

    # --- the near cache

    def _image(self, key: str, environ: Mapping[str, object]) -> Answer:
        near = self._near
        if near is None:
            return self._from_pool(key, environ)
        entry = near.cache.hit(key)
        if entry is not None:
            self._hit()
            return self._of_entry(entry, environ)
        if not near.wants(key):
            return self._from_pool(key, environ)
        begun = near.cache.begin(key)
        if isinstance(begun, Begun):
            return self._near_fill(near, begun.fill, environ) if begun.leader else self._joined(begun.fill, environ)
        if isinstance(begun, Refusal):
            return self._from_pool(key, environ)
        self._hit()
        return self._of_entry(begun, environ)

    def _of_entry(self, entry: Entry, environ: Mapping[str, object]) -> Answer:
        return answer(entry, environ, self._clock())

    def _near_fill(self, near: NearCache, fill: Fill, environ: Mapping[str, object]) -> Answer:
        """Fetch the whole image from its owner and keep it. The fill was registered before the owner is asked."""
        got = entry = None
        try:
            with self._relays:
                got = self._router.get(fill.key, {"X-Whole": "1"})
            if got is not None and got[0].status == 200:
                entry = self.kept_entry(fill.key, got[0].headers, got[0].body)
                got = got if entry else None
        finally:
            if entry is None:
                near.give_up(fill)
        if got is None or entry is None:
            return self._from_answer(fill.key, got, environ)
        node_answer, slot = got
        near.end(fill, entry)
        self._count_relayed(node_answer.headers)
        return self._named(self._of_entry(entry, environ), node_answer.headers.get("x-cache", ""), slot)

    def kept_entry(self, key: str, told: Mapping[str, str], body: bytes) -> Entry | None:
        """The entry for the near cache that a node's answer makes; None where facts are missing."""
        try:
            return entry_from_answer(key, told, body, self._near_headers)
        except Unavailable:
            return None

    def _joined(self, fill: Fill, environ: Mapping[str, object]) -> Answer:
        try:
            entry = fill.wait(_FILL_SECONDS)
        except PoolUnused:
            return self._from_pool(fill.key, environ)
        self._hit()
        return self._of_entry(entry, environ)

    @staticmethod
    def _named(given: Answer, cache: str, slot: int) -> Answer:
        headers = [header for header in given.headers if header[0] != "X-Cache"]
        return Answer(given.status, [*headers, ("X-Cache", cache), ("X-Cache-Node", str(slot))], given.body)

    # --- the owner node

    def _from_pool(self, key: str, environ: Mapping[str, object]) -> Answer:
        headers = {}
        if is_conditional(environ):
            headers = {_NAMES[name]: str(environ[name]) for name in CONDITIONAL_HEADERS if name in environ}
        with self._relays:
            got = self._router.get(key, headers, head=environ["REQUEST_METHOD"] == "HEAD")
        return self._from_answer(key, got, environ)

    def _from_answer(self, key: str, got: tuple[LeanAnswer, int] | None, environ: Mapping[str, object]) -> Answer:
        if got is not None and got[0].status == 404:
            raise NotFound("There is no image with this key.")
        if got is None or got[0].status not in _STATUS:
            # Whatever else a node says is its trouble, not the client's (I4).
            return self._bypass(key, environ)
        node_answer, slot = got
        return Answer(_STATUS[node_answer.status], self.relayed(node_answer.headers, slot), node_answer.body)

    def relayed(self, told: Mapping[str, str], slot: int) -> Headers:
        """What a client is told of an answer of the node in `slot`, given its headers by lower-case name. Counts it."""
        self._count_relayed(told)
        headers = [(proper, told[name]) for name, proper in _RELAYED if name in told]
        return [*headers, *self._public_headers, ("X-Cache", told.get("x-cache", "")), ("X-Cache-Node", str(slot))]

    def _count_relayed(self, told: Mapping[str, str]) -> None:
        # For our own /metrics; the pool's figures come from the node, which counted it.
        if told.get("x-cache") == "HIT":
            self._relayed_hit()
        else:
            self._relayed_miss()

    # --- storage

    def _bypass(self, key: str, environ: Mapping[str, object]) -> Answer:
        self._bypassed()
        try:
            with self._waiting:
                entry = self._storage.get_entry(key)
        except Unavailable:
            stale = self._stale(key) if self._serve_stale_seconds else None
            if stale is None:
                raise
            return stale
        given = self._of_entry(entry, environ)
        # What storage tells our own processes beside is not for clients.
        theirs = fact_headers(entry.version, entry.updated_at)
        told = [header for header in given.headers if header not in theirs]
        return Answer(given.status, [*told, *self._public_headers, ("X-Cache", "BYPASS")], given.body)

    def _stale(self, key: str) -> Answer | None:
        """What a cache that is out of lease still has, marked as such; the database is down and the user allowed it."""
        entry = self._near.cache.stale(key, self._serve_stale_seconds) if self._near else None
        if entry is None:
            answered = self._router.ask_stale(key)
            if answered is None:
                return None
            entry = entry_from_answer(key, answered.headers, answered.body, self._public_headers)
        self._stale_read()
        given = whole(entry, self._clock())
        headers = [header for header in given.headers if header[0] != "X-Cache"]
        return Answer(given.status, [*headers, ("X-Cache", "STALE")], given.body)


class _ReadBulkhead:
    """So many threads at a time, so that hits and `/healthz` always find one. Use it as a context manager.

    `SimpleQueue` is made in C: a place costs 0.2 us, and 2.0 us by `BoundedSemaphore` and a generator (timeit).
    """

    def __init__(self, count: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def __enter__(self) -> None:
        """Take a place. Raises Unavailable where there is none for a while."""
        try:
            self._free.get(timeout=_PLACE_SECONDS)
        except Empty:
            raise Unavailable("Too many reads are under way; try again in a moment.") from None

    def __exit__(self, *_error: object) -> None:
        """Give the place back."""
        self._free.put(None)


def _name(environ: Environ) -> str:
    """What is asked for: a key, or a rendition's name (`core.renditions`). Raises InvalidKey, InvalidRequest."""
    key = key_in_path(environ, IMAGES)
    query = environ.get("QUERY_STRING")
    return rendition_name(key, _rendition(query)) if query else key


def _rendition(query: str) -> str | None:
    """The rendition that a query string asks for; every other parameter means nothing here, and may be anything.

    Raises InvalidRequest where there are more than 20.
    """
    try:
        given = parse_qs(query, keep_blank_values=True, max_num_fields=_PARAMETERS).get("rendition")
    except ValueError:
        raise InvalidRequest(f"A query has at most {_PARAMETERS} parameters.") from None
    return given[-1] if given else None


_PLAIN_GET = {"REQUEST_METHOD": "GET"}
_STATUS = {
    200: "200 OK",
    206: "206 Partial Content",
    304: "304 Not Modified",
    412: "412 Precondition Failed",
    416: "416 Range Not Satisfiable",
}
