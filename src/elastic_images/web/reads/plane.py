"""The image data plane of web: serves `GET|HEAD /images/<key>` in front of Flask.

It reads from the near cache, else relays to the key's owner node, else bypasses the pool: storage answers, and nothing
is kept. `ImagePlane` works on a thread that may wait; what `front_reads` and `relay` can do without waiting, they do on
the front's thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, cast

from elastic_images.core.entry import Entry, Headers, head_lines
from elastic_images.core.errors import ElasticImagesError, NotFound, Unavailable
from elastic_images.core.fills import Fill, FillAbandoned
from elastic_images.core.image_facts import VERSION_DIGITS
from elastic_images.core.renditions import is_rendition
from elastic_images.front.reads import Environ
from elastic_images.http.answer import Answer, Later, answer_now
from elastic_images.http.entries import entry_from_answer
from elastic_images.http.lean_client import LeanAnswer
from elastic_images.http.problems import error_from_answer
from elastic_images.http.read_middleware import reads_in_front_of
from elastic_images.http.serving import CONDITIONAL_HEADERS, answer, is_conditional, whole
from elastic_images.metrics.counters import Counters
from elastic_images.pool.router import RENDITION_SECONDS, NodeAnswer, NodeRequest, PoolRouter
from elastic_images.web.reads.near_cache import NearCache
from elastic_images.web.reads.read_bulkhead import ReadBulkhead
from elastic_images.web.reads.requested_images import AS_USUAL, IMAGES, RequestedImages
from elastic_images.web.refusals import Refuse, refuse_plainly

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_RELAYED = (
    ("content-type", "Content-Type"),
    ("content-length", "Content-Length"),
    ("etag", "ETag"),
    ("accept-ranges", "Accept-Ranges"),
    ("last-modified", "Last-Modified"),
    ("content-range", "Content-Range"),
)
_CONDITIONS = {name: name[5:].replace("_", "-").title() for name in CONDITIONAL_HEADERS}
_FILL_SECONDS = 10.0
_RELAY_PLACES = 96
_RENDITION_PLACES = (48, 16)
BYPASS_PLACES = 40
"""The most bypasses under way (I7), so that a lost node does not become a storm."""


class EntryReader(Protocol):
    """The part of the storage client that a bypass needs."""

    def get_entry(self, key: str) -> Entry:
        """The image, read in a fresh transaction. Raises NotFound, Unavailable."""


class ImagePlane:
    """Reads images for web's clients. Safe to share between threads."""

    def __init__(
        self,
        router: PoolRouter,
        storage: EntryReader,
        counters: Counters,
        near: NearCache | None,
        requested: RequestedImages,
        *,
        public: bool,
        serve_stale_seconds: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`public`: whether shared caches may keep answers, because anyone may read."""
        self._router = router
        self._storage = storage
        self._near = near
        self.requested = requested
        self.refuse: Refuse = refuse_plainly
        """Answers what is refused; replaced once there is an app that makes pages."""
        self._clock = clock
        self._serve_stale_seconds = serve_stale_seconds
        self._count_hit = counters.counter("hits").increment
        self._count_bypass = counters.counter("bypasses").increment
        self._count_stale = counters.counter("stale").increment
        self._count_error = counters.counter("errors").increment
        self._count_relayed_hit = counters.counter("relayed_hits").increment
        self._count_relayed_miss = counters.counter("relayed_misses").increment
        self._relay_places = ReadBulkhead(_RELAY_PLACES)
        self._bypass_places = ReadBulkhead(BYPASS_PLACES)
        # For strangers, and for callers with a session or a token, whom strangers should not keep waiting.
        self._rendition_places = [ReadBulkhead(count, place_seconds=RENDITION_SECONDS) for count in _RENDITION_PLACES]
        self._public_headers: Headers = [
            # A max-age would let clients show replaced images (I2).
            ("Cache-Control", f"{'public' if public else 'private'}, no-cache"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "default-src 'none'; sandbox"),
        ]
        self._near_headers: Headers = [*self._public_headers, ("X-Cache", "HIT-NEAR")]
        self._is_public = public
        self._usual_line = head_lines(self._public_headers[:1])

    def in_front_of(self, behind: WSGIApplication, may_answer: Callable[[WSGIEnvironment], bool]) -> WSGIApplication:
        """WSGI that serves images if `may_answer`, and leaves everything else to `behind`."""

        def is_mine(environ: WSGIEnvironment) -> bool:
            return bool(environ["PATH_INFO"].startswith(IMAGES)) and may_answer(environ)

        return reads_in_front_of(behind, self.respond, is_mine)

    def respond(self, environ: Environ) -> Answer:
        """As `begin_response`, waiting for what takes long."""
        return answer_now(self.begin_response(environ))

    def begin_response(self, environ: Environ) -> Answer | Later:
        """Answer a GET or HEAD of `/images/<key>`, errors included; the caller leaves out the body of a HEAD.

        What waits for a rendition to be made is left for later.
        """
        return self._or_refusal(lambda: self._read(self.requested.name(environ), environ), lambda: environ)

    def read_whole(self, key: str) -> Answer:
        """The whole image, counted as a read. Raises NotFound, Unavailable."""
        return answer_now(self._read(key, _PLAIN_GET))

    def locate(self, key: str) -> tuple[int, int | None]:
        """The key's partition (0 to 15) and its owner's slot, None while no pool is known."""
        return self._router.locate(key)

    def _or_refusal(self, find: Callable[[], Answer | Later], environ: Callable[[], Environ]) -> Answer | Later:
        try:
            return find()
        except ElasticImagesError as error:
            if error.is_ours:
                self._count_error()
            return self.refuse(error, environ())

    # --- the near cache

    def _read(self, name: str, environ: Mapping[str, object]) -> Answer | Later:
        near = self._near
        if near is None:
            return self._relay(name, environ)
        found = near.cache.lookup(name) or near.begin_fill(name)
        if found is None:
            return self._relay(name, environ)
        if not isinstance(found, Entry):
            fill = found.fill
            return self._fill_near(near, fill, environ) if found.leader else self._join(fill, environ)
        self._count_hit()
        return self._of_entry(found, environ)

    def _of_entry(self, entry: Entry, environ: Mapping[str, object]) -> Answer:
        return self.presented(answer(entry, environ, self._clock()), entry.original, query_of(environ))

    def presented(self, given: Answer, original: str, query: str) -> Answer:
        """An answer with the headers that the query of its request demands. `original`: the original's SHA-256."""
        if not query:
            return given
        version, varies = self.requested.presentation(query)
        headers = [*given.headers, _VARIES] if varies else given.headers
        if self._is_immutable(version, original):
            headers = [_IMMUTABLE if name == _IMMUTABLE[0] else (name, value) for name, value in headers]
        return Answer(given.status, headers, given.body)

    def presented_head(self, entry: Entry, query: str, now: float) -> bytes:
        """The same for the head of a near entry, without taking it apart."""
        head = entry.head_at(now)
        presentation = self.requested.presentation(query)
        if presentation is AS_USUAL:
            return head
        if self._is_immutable(presentation.version, entry.original):
            head = head.replace(self._usual_line, _IMMUTABLE_LINE)
        return head + _VARIES_LINE if presentation.varies else head

    def _is_immutable(self, version: str | None, original: str) -> bool:
        return version is not None and version == original[:VERSION_DIGITS] and self._is_public

    def _fill_near(self, near: NearCache, fill: Fill, environ: Mapping[str, object]) -> Answer | Later:
        """Fetch the whole image from its owner and keep it. The fill was registered before the owner is asked."""
        got = entry = None
        try:
            with self._relay_places:
                got = self._router.fetch(fill.key, {"X-Whole": "1"})
            if got is not None and got.status == 200:
                entry = self.keep(near, fill, got.headers, got.body)
                got = got if entry else None
        finally:
            near.cache.abandon_fill(fill)  # unless it was kept
        if got is None or entry is None:
            return self._relayed_answer(fill.key, got, environ)
        self._count_relayed(got.headers)
        given = self._of_entry(entry, environ)
        return _marked(given, ("X-Cache", got.headers.get("x-cache", "")), ("X-Cache-Node", str(got.slot)))

    def keep(self, near: NearCache, fill: Fill, told: Mapping[str, str], body: bytes) -> Entry | None:
        """Complete a near fill with a node's whole answer; None if the answer lacks facts, and the fill goes on."""
        try:
            entry = entry_from_answer(fill.key, told, body, self._near_headers)
        except Unavailable:
            return None
        near.complete_fill(fill, entry)
        return entry

    def _join(self, fill: Fill, environ: Mapping[str, object]) -> Answer | Later:
        try:
            entry = fill.wait(_FILL_SECONDS)
        except FillAbandoned:
            return self._relay(fill.key, environ)
        self._count_hit()
        return self._of_entry(entry, environ)

    # --- the owner node

    def _relay(self, name: str, environ: Mapping[str, object]) -> Answer | Later:
        with self._relay_places:
            got = self._router.fetch(name, _conditions(environ), head=environ["REQUEST_METHOD"] == "HEAD")
        return self._relayed_answer(name, got, environ)

    def finish_relay(
        self, request: NodeRequest, answer: LeanAnswer | None, name: str, environ: Callable[[], Environ]
    ) -> Answer | Later:
        """The whole image, errors included, after the front asked the owner and got `answer`."""
        return self._or_refusal(
            lambda: self._relayed_answer(name, self._router.finish_fetch(request, answer, name), environ()), environ
        )

    def _relayed_answer(self, name: str, got: NodeAnswer | None, environ: Mapping[str, object]) -> Answer | Later:
        if got is not None and got.status in _STATUS:
            return self._relayed(got, environ)
        if is_rendition(name):
            is_member = self.requested.is_member(cast("Environ", environ))
            if got is not None and got.status == _NOT_IN_MEMORY:
                return self._later(
                    lambda: self._read_made(name, environ, is_member=is_member), environ, urgent=is_member
                )
            return self._later(lambda: self._bypass(name, environ), environ, urgent=is_member)
        if got is not None and got.status == 404:
            raise NotFound(_NO_IMAGE)
        # A node's other troubles are not the client's (I4).
        return self._bypass(name, environ)

    def _relayed(self, got: NodeAnswer, environ: Mapping[str, object]) -> Answer:
        return Answer(_STATUS[got.status], self.relayed_headers(got.headers, got.slot, query_of(environ)), got.body)

    # --- renditions that are in no memory

    def _later(self, find: Callable[[], Answer], environ: Mapping[str, object], *, urgent: bool) -> Later:
        deadline = time.monotonic() + RENDITION_SECONDS

        def found() -> Answer:
            with self._rendition_places[urgent]:
                if time.monotonic() > deadline:
                    raise Unavailable("Too many renditions are being made; ask again.", retry_after_seconds=5)
                return find()

        return Later(lambda: answer_now(self._or_refusal(found, lambda: cast("Environ", environ))), urgent)

    def _read_made(self, name: str, environ: Mapping[str, object], *, is_member: bool) -> Answer:
        """Have the owner make it. What it could not make is not tried again elsewhere."""
        headers = {"X-Make": "member" if is_member else "stranger", **_conditions(environ)}
        got = self._router.fetch_made(name, headers, head=environ["REQUEST_METHOD"] == "HEAD")
        if got is not None and got.status in _STATUS:
            return self._relayed(got, environ)
        if got is not None and got.status == _GONE:
            raise NotFound(_NO_IMAGE)
        if got is None or got.status not in _FINAL:
            return self._bypass(name, environ)
        error = error_from_answer(got.status, got.headers, got.body)
        stale = self._read_stale(name) if isinstance(error, Unavailable) and self._serve_stale_seconds else None
        if stale is None:
            raise error
        return stale

    def relayed_headers(self, told: Mapping[str, str], slot: int, query: str) -> Headers:
        """The client's headers for an answer of the node in `slot` with these headers (lower-case). Counts the read.

        `query` is that of the client's request.
        """
        self._count_relayed(told)
        headers = [(proper, told[name]) for name, proper in _RELAYED if name in told]
        headers += [*self._public_headers, ("X-Cache", told.get("x-cache", "")), ("X-Cache-Node", str(slot))]
        if not query:
            return headers
        original = told.get("x-image-original") or told.get("etag", "").strip('"')
        return self.presented(Answer("", headers, b""), original, query).headers

    def _count_relayed(self, told: Mapping[str, str]) -> None:
        # For our own /metrics; the pool's figures come from the node, which counted the read.
        if told.get("x-cache") == "HIT":
            self._count_relayed_hit()
        else:
            self._count_relayed_miss()

    # --- storage

    def _bypass(self, name: str, environ: Mapping[str, object]) -> Answer:
        self._count_bypass()
        try:
            with _NO_LIMIT if is_rendition(name) else self._bypass_places:
                entry = self._storage.get_entry(name)
        except Unavailable:
            stale = self._read_stale(name) if self._serve_stale_seconds else None
            if stale is None:
                raise
            return stale
        given = answer(entry, environ, self._clock())
        # Storage also sends facts for our own processes; clients do not get them.
        headers = [header for header in given.headers if not header[0].startswith("X-Image-")]
        told = Answer(given.status, [*headers, *self._public_headers, ("X-Cache", "BYPASS")], given.body)
        return self.presented(told, entry.original, query_of(environ))

    def _read_stale(self, name: str) -> Answer | None:
        """What a cache without a lease still has, marked stale: the last resort if SERVE_STALE allows it."""
        entry = self._near.cache.peek_stale(name, self._serve_stale_seconds) if self._near else None
        if entry is None:
            got = self._router.fetch_stale(name)
            if got is None:
                return None
            entry = entry_from_answer(name, got.headers, got.body, self._public_headers)
        self._count_stale()
        return _marked(whole(entry, self._clock()), ("X-Cache", "STALE"))


def _marked(given: Answer, *marks: tuple[str, str]) -> Answer:
    headers = [header for header in given.headers if header[0] != "X-Cache"]
    return Answer(given.status, [*headers, *marks], given.body)


def query_of(environ: Mapping[str, object]) -> str:
    """The query of a request."""
    return str(environ.get("QUERY_STRING") or "")


def _conditions(environ: Mapping[str, object]) -> dict[str, str]:
    """The conditions and range of a request, for another process."""
    if not is_conditional(environ):
        return {}
    return {proper: str(environ[name]) for name, proper in _CONDITIONS.items() if name in environ}


_IMMUTABLE, _VARIES = ("Cache-Control", "public, max-age=31536000, immutable"), ("Vary", "Accept")
_IMMUTABLE_LINE, _VARIES_LINE = head_lines([_IMMUTABLE]), head_lines([_VARIES])
_NO_IMAGE = "There is no image with this key."
_NO_LIMIT = contextlib.nullcontext()
"""Who waits for a rendition has a place already."""
_NOT_IN_MEMORY, _GONE = 202, 410
"""What nodes say of a rendition that they would have to make, and of one whose image does not exist."""
_FINAL = frozenset({413, 415, 422, 503})
_PLAIN_GET = {"REQUEST_METHOD": "GET"}
_STATUS = {
    200: "200 OK",
    206: "206 Partial Content",
    304: "304 Not Modified",
    412: "412 Precondition Failed",
    416: "416 Range Not Satisfiable",
}
