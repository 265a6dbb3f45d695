"""The image data plane of web: serves `GET|HEAD /images/<key>` in front of Flask.

It reads from the near cache, else relays to the key's owner node, else bypasses the pool: storage answers, and nothing
is kept. `ImagePlane` works on a thread that may wait; what `front_reads` and `relay` can do without waiting, they do on
the front's thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from elastic_images.core.entry import Entry, Headers
from elastic_images.core.errors import ElasticImagesError, NotFound, Unavailable
from elastic_images.core.fills import Fill, FillAbandoned
from elastic_images.core.image_facts import Actor
from elastic_images.core.protocol import PROTOCOL_HEADER, knows_visibility
from elastic_images.core.renditions import is_rendition, split_name
from elastic_images.core.visibility import Visibility
from elastic_images.front.reads import Environ
from elastic_images.http.answer import Answer, Later, answer_now
from elastic_images.http.entries import entry_from_answer, told_visibility
from elastic_images.http.lean_client import LeanAnswer
from elastic_images.http.problems import error_from_answer
from elastic_images.http.read_middleware import reads_in_front_of
from elastic_images.http.serving import CONDITIONAL_HEADERS, answer, is_conditional, whole
from elastic_images.metrics.counters import Counters
from elastic_images.pool.router import RENDITION_SECONDS, NodeAnswer, NodeRequest, PoolRouter
from elastic_images.web.reads.client_headers import ClientHeaders
from elastic_images.web.reads.near_cache import NearCache
from elastic_images.web.reads.read_bulkhead import ReadBulkhead
from elastic_images.web.reads.requested_images import RequestedImages
from elastic_images.web.reads.viewers import NO_IMAGE, ImageRead, Viewers
from elastic_images.web.refusals import Refuse, refuse_plainly
from elastic_images.web.request_path import IMAGES

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

    def get_entry(self, name: str, *, actor: Actor | None = None) -> Entry:
        """The image or rendition, read in a fresh transaction.

        Raises NotFound, also if `actor` may not see it, and Unavailable.
        """

    def metadata(self, key: str, *, actor: Actor | None) -> object:
        """As `get_entry`, without the image."""


class ImagePlane:
    """Reads images for web's clients. Safe to share between threads."""

    def __init__(
        self,
        router: PoolRouter,
        storage: EntryReader,
        counters: Counters,
        near: NearCache | None,
        requested: RequestedImages,
        viewers: Viewers,
        *,
        serve_stale_seconds: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._router = router
        self._storage = storage
        self._near = near
        self.requested = requested
        self.viewers = viewers
        self.headers = ClientHeaders(requested, viewers.free)
        self.refuse: Refuse = refuse_plainly
        """Answers what is refused; replaced once there is an app that makes pages."""
        self._clock = clock
        self._serve_stale_seconds = serve_stale_seconds
        self._count_hit = counters.counter("hits").increment
        self._count_bypass = counters.counter("bypasses").increment
        self._count_not_found = counters.counter("not_found").increment
        self._count_stale = counters.counter("stale").increment
        self._count_error = counters.counter("errors").increment
        self._count_relayed_hit = counters.counter("relayed_hits").increment
        self._count_relayed_miss = counters.counter("relayed_misses").increment
        self._relay_places = ReadBulkhead(_RELAY_PLACES)
        self._bypass_places = ReadBulkhead(BYPASS_PLACES)
        # For strangers, and for callers with a session or a token, whom strangers should not keep waiting.
        self._rendition_places = [ReadBulkhead(count, place_seconds=RENDITION_SECONDS) for count in _RENDITION_PLACES]

    def in_front_of(self, behind: WSGIApplication, may_answer: Callable[[WSGIEnvironment], bool]) -> WSGIApplication:
        """WSGI that serves images if `may_answer`, and leaves everything else to `behind`, also who must log in."""

        def is_mine(environ: WSGIEnvironment) -> bool:
            return bool(environ["PATH_INFO"].startswith(IMAGES)) and may_answer(environ)

        return reads_in_front_of(behind, self.respond, is_mine)

    def respond(self, environ: Environ, actor: Actor | None = None) -> Answer | None:
        """As `begin_response`, waiting for what takes long. `actor`: who asks, if that is known already."""
        found = self._begin(ImageRead(self.viewers, environ, actor))
        return None if found is None else answer_now(found)

    def begin_response(self, environ: Environ) -> Answer | Later | None:
        """Answer a GET or HEAD of `/images/<key>`, errors included; the caller leaves out the body of a HEAD.

        What waits for a rendition to be made is left for later. None: the caller must log in, which Flask tells them.
        """
        return self._begin(ImageRead(self.viewers, environ))

    def _begin(self, read: ImageRead) -> Answer | Later | None:
        return self._or_refusal(lambda: self._read(self.requested.name(read.environ), read), read)

    def read_whole(self, key: str, actor: Actor) -> Answer:
        """The whole image, counted as a read. Raises NotFound, also if `actor` may not see it, and Unavailable."""
        return answer_now(self._read(key, ImageRead(self.viewers, _PLAIN_GET, actor)))

    def locate(self, key: str) -> tuple[int, int | None]:
        """The key's partition (0 to 15) and its owner's slot, None while no pool is known."""
        return self._router.locate(key)

    def _or_refusal(self, find: Callable[[], Answer | Later], read: ImageRead) -> Answer | Later | None:
        try:
            if not read.may_read:
                return None
            return find()
        except NotFound:
            # In the same words whoever found out: nobody may tell apart what is not there and what is not shown.
            return self.refuse(NotFound(NO_IMAGE), read.environ)
        except ElasticImagesError as error:
            if error.is_ours:
                self._count_error()
            return self.refuse(error, read.environ)

    # --- the near cache

    def _read(self, name: str, read: ImageRead) -> Answer | Later:
        near = self._near
        if near is None:
            return self._relay(name, read)
        found = near.cache.lookup(name) or near.begin_fill(name)
        if found is None:
            return self._relay(name, read)
        if not isinstance(found, Entry):
            return self._fill_near(near, found.fill, read) if found.leader else self._join(found.fill, read)
        given = self._of_entry(found, read)
        self._count_hit()
        return given

    def _of_entry(self, entry: Entry, read: ImageRead) -> Answer:
        # Before any condition is looked at: who may not see the image learns nothing of it.
        read.check(entry.visibility, entry.owner_id)
        given = answer(entry, read.environ, self._clock())
        return self.headers.presented(given, entry.original, entry.visibility, read.query)

    def _fill_near(self, near: NearCache, fill: Fill, read: ImageRead) -> Answer | Later:
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
            return self._relayed_answer(fill.key, got, read)
        given = self._of_entry(entry, read)
        self._count_relayed(got.headers)
        return _marked(given, ("X-Cache", got.headers.get("x-cache", "")), ("X-Cache-Node", str(got.slot)))

    def keep(self, near: NearCache, fill: Fill, told: Mapping[str, str], body: bytes) -> Entry | None:
        """Complete a near fill with a node's whole answer; None if the answer lacks facts, and the fill goes on."""
        entry = self._entry_of(fill.key, told, body)
        if entry is not None:
            near.complete_fill(fill, entry)
        return entry

    def _entry_of(self, name: str, told: Mapping[str, str], body: bytes) -> Entry | None:
        seen_by = told_visibility(told)
        try:
            return seen_by and entry_from_answer(name, told, body, self.headers.near(seen_by[0]))
        except Unavailable:
            return None

    def _join(self, fill: Fill, read: ImageRead) -> Answer | Later:
        try:
            entry = fill.wait(_FILL_SECONDS)
        except FillAbandoned:
            return self._relay(fill.key, read)
        given = self._of_entry(entry, read)
        self._count_hit()
        return given

    # --- the owner node

    def _relay(self, name: str, read: ImageRead) -> Answer | Later:
        with self._relay_places:
            got = self._router.fetch(name, _conditions(read.environ), head=read.is_head)
        return self._relayed_answer(name, got, read)

    def finish_relay(
        self, request: NodeRequest, answer: LeanAnswer | None, name: str, environ: Callable[[], Environ]
    ) -> Answer | Later | None:
        """The whole image, errors included, after the front asked the owner and got `answer`."""
        read = ImageRead(self.viewers, environ())
        return self._or_refusal(
            lambda: self._relayed_answer(name, self._router.finish_fetch(request, answer, name), read), read
        )

    def _relayed_answer(self, name: str, got: NodeAnswer | None, read: ImageRead) -> Answer | Later:
        if got is not None and (given := self._relayed(got, read)) is not None:
            return given
        if is_rendition(name):
            is_member = self.requested.is_member(read.environ)
            if got is not None and got.status == _NOT_IN_MEMORY:
                seen_by = told_visibility(got.headers)
                if seen_by is not None:
                    read.check(*seen_by)
                return self._later(
                    lambda: self._read_made(name, read, is_member=is_member, is_checked=seen_by is not None),
                    read,
                    urgent=is_member,
                )
            return self._later(lambda: self._bypass(name, read), read, urgent=is_member)
        if got is not None and got.status == 404 and _knows_all(got):
            raise NotFound(NO_IMAGE)
        # A node's other troubles are not the client's (I4).
        return self._bypass(name, read)

    def _relayed(self, got: NodeAnswer, read: ImageRead) -> Answer | None:
        """A node's answer about an image; None if it is none, or does not say who may see it."""
        seen_by = told_visibility(got.headers) if got.status in _STATUS else None
        if seen_by is None:
            return None
        read.check(*seen_by)
        return Answer(
            _STATUS[got.status], self.relayed_headers(got.headers, got.slot, seen_by[0], read.query), got.body
        )

    # --- renditions that are in no memory

    def _later(self, find: Callable[[], Answer], read: ImageRead, *, urgent: bool) -> Later:
        deadline = time.monotonic() + RENDITION_SECONDS

        def found() -> Answer:
            with self._rendition_places[urgent]:
                if time.monotonic() > deadline:
                    raise Unavailable("Too many renditions are being made; ask again.", retry_after_seconds=5)
                return find()

        def answered() -> Answer:
            given = self._or_refusal(found, read)
            assert isinstance(given, Answer)  # noqa: S101 - who may read is known by now
            return given

        return Later(answered, urgent)

    def _read_made(self, name: str, read: ImageRead, *, is_member: bool, is_checked: bool) -> Answer:
        """Have the owner make it. What it could not make is not tried again elsewhere.

        Nothing is made for those who may not see the image: `is_checked` says that they may.
        """
        try:
            if not is_checked:
                self._storage.metadata(split_name(name)[0], actor=read.viewer.actor)
        except Unavailable as error:
            return self._stale_or(error, name)
        headers = {"X-Make": "member" if is_member else "stranger", **_conditions(read.environ)}
        got = self._router.fetch_made(name, headers, head=read.is_head)
        if got is not None and (given := self._relayed(got, read)) is not None:
            return given
        if got is not None and got.status == _GONE and _knows_all(got):
            raise NotFound(NO_IMAGE)
        if got is None or got.status not in _FINAL:
            return self._bypass(name, read)
        failed = error_from_answer(got.status, got.headers, got.body)
        if isinstance(failed, Unavailable):
            return self._stale_or(failed, name)
        raise failed

    def relayed_headers(self, told: Mapping[str, str], slot: int, visibility: Visibility, query: str) -> Headers:
        """The client's headers for an answer of the node in `slot` with these headers (lower-case). Counts the read.

        `query` is that of the client's request.
        """
        self._count_relayed(told)
        headers = [(proper, told[name]) for name, proper in _RELAYED if name in told]
        headers += [*self.headers.of(visibility), ("X-Cache", told.get("x-cache", "")), ("X-Cache-Node", str(slot))]
        if not query:
            return headers
        original = told.get("x-image-original") or told.get("etag", "").strip('"')
        return self.headers.presented(Answer("", headers, b""), original, visibility, query).headers

    def _count_relayed(self, told: Mapping[str, str]) -> None:
        # For our own /metrics; the pool's figures come from the node, which counted the read.
        if told.get("x-cache") == "HIT":
            self._count_relayed_hit()
        else:
            self._count_relayed_miss()

    # --- storage

    def _bypass(self, name: str, read: ImageRead) -> Answer:
        try:
            with _NO_LIMIT if is_rendition(name) else self._bypass_places:
                entry = self._storage.get_entry(name, actor=read.viewer.actor)
        except NotFound:
            self._count_not_found()
            raise
        except ElasticImagesError as error:
            self._count_bypass()
            if not isinstance(error, Unavailable):
                raise
            return self._stale_or(error, name)
        self._count_bypass()
        read.check(entry.visibility, entry.owner_id)
        given = answer(entry, read.environ, self._clock())
        # Storage also sends facts for our own processes; clients do not get them.
        headers = [header for header in given.headers if not header[0].startswith("X-Image-")]
        told = Answer(given.status, [*headers, *self.headers.of(entry.visibility), ("X-Cache", "BYPASS")], given.body)
        return self.headers.presented(told, entry.original, entry.visibility, read.query)

    def _stale_or(self, error: Unavailable, name: str) -> Answer:
        stale = self._read_stale(name) if self._serve_stale_seconds else None
        if stale is None:
            raise error
        return stale

    def _read_stale(self, name: str) -> Answer | None:
        """What a cache without a lease still has, marked stale: the last resort if SERVE_STALE allows it.

        It may be older than the lease, and so may its visibility: that is why only what was public is shown.
        """
        entry = self._near.cache.peek_stale(name, self._serve_stale_seconds) if self._near else None
        if entry is None and (got := self._router.fetch_stale(name)) is not None:
            entry = self._entry_of(name, got.headers, got.body)
        if entry is None or entry.visibility != "public":
            return None
        self._count_stale()
        return _marked(whole(entry, self._clock()), ("X-Cache", "STALE"))


def _knows_all(got: NodeAnswer) -> bool:
    """Whether a node finds all that there is; storage shows those of protocol 2 only what is public."""
    return knows_visibility(got.headers.get(PROTOCOL_HEADER.lower()))


def _marked(given: Answer, *marks: tuple[str, str]) -> Answer:
    headers = [header for header in given.headers if header[0] != "X-Cache"]
    return Answer(given.status, [*headers, *marks], given.body)


def _conditions(environ: Mapping[str, object]) -> dict[str, str]:
    """The conditions and range of a request, for another process."""
    if not is_conditional(environ):
        return {}
    return {proper: str(environ[name]) for name, proper in _CONDITIONS.items() if name in environ}


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
