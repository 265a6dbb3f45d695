"""How other apps call storage. Imports neither database nor Pillow: web, nodes and manager may import it."""

from __future__ import annotations

import hashlib
import json as json_module
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlencode

import urllib3

from elastic_images.core.entry import Entry
from elastic_images.core.errors import ElasticImagesError, IncompleteBody, NotFound, Unavailable
from elastic_images.core.image_facts import (
    Actor,
    BadImagePage,
    BatchResult,
    ImageMetadata,
    ImagePage,
    Neighbours,
    ScrubStatus,
    StorageHealth,
    TrashPage,
    WholeUsage,
)
from elastic_images.core.keys import check_key, check_new_key, quote_key
from elastic_images.core.renditions import split_name
from elastic_images.core.restored_facts import KEEP_FACTS_HEADER, KEEP_OWNER_ID_HEADER, RestoredFacts
from elastic_images.core.upload_nonce import UPLOAD_NONCE_HEADER, UploadNonce
from elastic_images.core.visibility import VISIBILITY_HEADER, Visibility
from elastic_images.http.entries import entry_from_answer
from elastic_images.http.gone_callers import Gone, GoneCallers
from elastic_images.http.internal_client import WRITE_SECONDS, InternalClient, NoAnswer, decoded
from elastic_images.http.lean_client import LeanAnswer, NotConnected
from elastic_images.http.readiness import Readiness
from elastic_images.pool.circuit_breakers import CircuitBreakers

T = TypeVar("T")

_CHUNK_BYTES = 256 * 1024
_SETTLE_SECONDS = 15.0
_GIVE_UP_SECONDS = 2.0
_MAKING_SECONDS = 30.0
"""How long storage may take to make a rendition."""


_SKIP_SECONDS = 3.0
"""How long a storage app that did not answer is tried last: each call to a vanished host costs seconds."""


class Body(Protocol):
    """A stream of bytes, read once."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" at the end."""


class StorageClient:
    """The storage apps' calls (docs/internal-api.md). Safe to share between threads.

    The first storage app that answers is used; one that did not is tried last for a few seconds. Every method raises
    Unavailable if none answers, and InvalidKey for an invalid key.
    """

    def __init__(
        self,
        http: InternalClient,
        urls: Sequence[str],
        *,
        timeout_seconds: float = 5.0,
        make_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timeout_seconds` is for reads."""
        self.gone_callers = GoneCallers()
        """Whoever passes `gone` to `put` has it look from time to time."""
        self._http = http
        self._urls = [url.rstrip("/") for url in urls]
        self._timeout_seconds = timeout_seconds
        self._make_id = make_id
        self._breakers = CircuitBreakers(clock, failures=1, open_seconds=_SKIP_SECONDS)

    def get_entry(self, name: str, *, actor: Actor | None = None) -> Entry:
        """The image or rendition (`core.renditions`) of that name, read in a fresh transaction.

        Raises NotFound, also if `actor` may not see it; without one, the caller judges that.
        """
        key, spec = split_name(name)
        seconds = max(_MAKING_SECONDS, self._timeout_seconds) if spec else self._timeout_seconds
        path = f"/internal/images/{quote_key(check_key(key))}" + (f"?spec={spec.canonical}" if spec else "")

        def fetch(url: str) -> Entry:
            answer = self._http.fetch(url + path, headers=_actor_headers(actor), timeout_seconds=seconds)
            return entry_from_answer(name, answer.headers, answer.body)

        return self._first(fetch)

    def put(
        self,
        key: str,
        body: Body,
        length_bytes: int,
        *,
        actor: Actor,
        if_match: str | None = None,
        if_none_match: str | None = None,
        kept: RestoredFacts | None = None,
        visibility: Visibility | None = None,
        upload_nonce: UploadNonce | None = None,
        gone: Gone | None = None,
    ) -> tuple[bool, ImageMetadata]:
        """Store the next `length_bytes` of `body` under `key`. Gives whether the key is new, and the metadata.

        `kept` restores an image with its old metadata; the actor must be an administrator. If the key already had a
        version or time as new as that, the image gets newer ones. Without `visibility`, a replaced image keeps its
        own, and a new one has the default. `upload_nonce` is that of the link which authorised it, good for one upload.
        `gone` says whether the uploader has left: storage then stops working on the image, if it is still being
        decoded.

        The body is streamed and cannot be sent twice: another storage app is tried only while nothing was read from
        it. If the answer is lost, another storage app settles the write: it reports the outcome, or cancels it for
        good. Errors of `body.read` are passed through, and nothing is stored.

        Raises:
            IncompleteBody: `body` ended early.
            EmptyBody, TooLarge, NotAnImage, BrokenImage, Forbidden, PreconditionFailed, LinkUsed, OutOfSpace: nothing
                changed.
            Unavailable: no storage app answered, or a cache did not; in that case the image may be stored.
        """
        headers = {
            "X-Image-Length": str(length_bytes),
            "Content-Type": "application/octet-stream",
        }
        headers |= self._write_headers(actor, if_match, if_none_match) | _kept_headers(kept)
        if visibility is not None:
            headers[VISIBILITY_HEADER] = visibility
        if upload_nonce is not None:
            headers[UPLOAD_NONCE_HEADER] = upload_nonce.to_header()
        path = f"/internal/images/{quote_key(check_new_key(key))}"
        sending = _SendingWhole(body, length_bytes) if length_bytes <= _CHUNK_BYTES else _Sending(body, length_bytes)

        def send(url: str) -> tuple[bool, ImageMetadata]:
            with self.gone_callers.call(gone, lambda: self._give_up(url, headers["X-Write-Id"])):
                answer = sending.put(self._http, url + path, headers)
            return answer.status == 201, decoded(answer)

        try:
            return self._first(send, go_on=lambda: not sending.begun)
        except NoAnswer:
            if not sending.begun:
                raise
            return self._settle(key, headers["X-Write-Id"])

    def _give_up(self, url: str, write_id: str) -> None:
        self._http.request(
            "POST", f"{url}/internal/give_up", headers={"X-Write-Id": write_id}, timeout_seconds=_GIVE_UP_SECONDS
        )

    def _settle(self, key: str, write_id: str) -> tuple[bool, ImageMetadata]:
        """As `put`, after its answer was lost. Without this, the write might still arrive and replace a later one."""
        path = f"/internal/settle/{quote_key(key)}"

        def ask(url: str) -> tuple[bool, ImageMetadata]:
            headers = {"X-Write-Id": write_id}
            answer = self._http.request("POST", url + path, headers=headers, timeout_seconds=_SETTLE_SECONDS)
            return answer.status == 201, decoded(answer)

        try:
            return self._first(ask)
        except NotFound:
            raise Unavailable(
                "The upload was interrupted and nothing changed; send it again.", retry_after_seconds=1
            ) from None

    def delete(self, key: str, *, actor: Actor, if_match: str | None = None) -> None:
        """Delete an image. Raises NotFound, Forbidden, PreconditionFailed. A retry takes effect once."""
        headers = self._write_headers(actor, if_match, None)
        path = f"/internal/images/{quote_key(check_key(key))}"
        self._first(lambda url: self._http.request("DELETE", url + path, headers=headers, timeout_seconds=30.0))

    def move(
        self,
        key: str,
        to: str,
        *,
        actor: Actor,
        visibility: Visibility | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ImageMetadata:
        """Rename an image, and change its visibility if it is given. A retry takes effect once.

        Raises:
            InvalidRequest (the two keys are one), NotFound (also if the actor may not see it), Forbidden,
                PreconditionFailed, Conflict (there is an image of that key): nothing changed.
        """
        body = {"to": check_new_key(to)} | ({} if visibility is None else {"visibility": visibility})
        return self._alter(key, "move", body, self._write_headers(actor, if_match, if_none_match))

    def set_visibility(
        self,
        key: str,
        visibility: Visibility,
        *,
        actor: Actor,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ImageMetadata:
        """Change who may see an image. Raises as `move`. A retry takes effect once."""
        headers = self._write_headers(actor, if_match, if_none_match)
        return self._alter(key, "visibility", {"visibility": visibility}, headers)

    def _alter(self, key: str, what: str, body: dict[str, str], headers: dict[str, str]) -> ImageMetadata:
        path = f"/internal/images/{quote_key(check_key(key))}/{what}"
        return cast(ImageMetadata, self._asked("POST", path, headers, json=body, timeout_seconds=30.0))

    def batch(self, operations: object, *, actor: Actor) -> list[BatchResult]:
        """Do many changes, a transaction each: a list of `{"op": "delete"|"move"|"visibility", "key", ...}`.

        The results are in the same order. A retry takes effect once.

        Raises:
            InvalidRequest, TooLarge: an operation is malformed, or there are too many; nothing changed.
            Unavailable: no storage app answered; some of them may be done.
        """
        headers, body = self._write_headers(actor, None, None), {"operations": operations}
        found = self._asked("POST", "/internal/batch", headers, json=body, timeout_seconds=WRITE_SECONDS)
        return cast("dict[str, list[BatchResult]]", found)["results"]

    def have(self, digests: Sequence[str], *, actor: Actor) -> dict[str, str]:
        """Which of these SHA-256 digests images of the actor's own have, each with a key; for administrators, of all.

        Raises InvalidRequest, and TooLarge for more than 1,000.
        """
        headers, body = _actor_headers(actor), {"digests": list(digests)}
        found = self._asked("POST", "/internal/have", headers, json=body, timeout_seconds=self._timeout_seconds)
        return cast("dict[str, dict[str, str]]", found)["keys"]

    def metadata(self, key: str, *, actor: Actor | None) -> ImageMetadata:
        """The metadata of an image, if `actor` may see it. Raises NotFound.

        Here and below, None stands for our own processes, which see all images.
        """
        return cast(ImageMetadata, self._get(f"/internal/metadata/{quote_key(check_key(key))}", actor))

    def page(
        self,
        *,
        actor: Actor | None,
        prefix: str = "",
        limit: int = 100,
        cursor: str | None = None,
        order: str = "key",
        visibility: Visibility | None = None,
    ) -> ImagePage:
        """One page of the listing of what `actor` may see; `order` is `key` or `newest`.

        `visibility`: only images that have it.

        Raises InvalidRequest for a bad limit or cursor, and for a prefix with `newest`.
        """
        query = {"prefix": prefix, "limit": limit, "order": order} | ({"cursor": cursor} if cursor else {})
        query |= {} if visibility is None else {"visibility": visibility}
        return cast(ImagePage, self._get("/internal/metadata?" + urlencode(query), actor))

    def neighbours(self, key: str, *, actor: Actor | None, prefix: str = "", order: str = "key") -> Neighbours:
        """The images before and after `key` in that listing. Raises NotFound, and what `page` raises."""
        query = urlencode({"prefix": prefix, "order": order})
        return cast(Neighbours, self._get(f"/internal/neighbours/{quote_key(check_key(key))}?{query}", actor))

    def readiness(self) -> Readiness:
        """What storage can do now: the answer of the app that can do most. Raises Unavailable if none answers."""
        found: list[Readiness] = []
        trouble: ElasticImagesError = Unavailable("No storage app is configured.")
        for url in self._in_order():
            try:
                found.append(self._http.readiness(url))
            except Unavailable as error:
                self._breakers.failed(url)
                trouble = error
            else:
                self._breakers.succeeded(url)
                if found[-1].write:
                    break
        if not found:
            raise trouble
        return max(found, key=lambda one: one.read + one.write)

    def trash(self, *, actor: Actor, prefix: str = "", limit: int = 100, cursor: str | None = None) -> TrashPage:
        """One page of what `actor` may restore. Raises InvalidRequest for a bad limit, cursor or prefix."""
        query = {"prefix": prefix, "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        return cast(TrashPage, self._for_actor("GET", f"/internal/trash?{urlencode(query)}", actor))

    def newest_in_trash(self, key: str, *, actor: Actor) -> int | None:
        """The id of the newest entry of `key` in the trash that `actor` may restore."""
        found = self._for_actor("GET", f"/internal/trash/newest/{quote_key(check_key(key))}", actor)
        return cast("dict[str, int | None]", found)["id"]

    def restore(self, entry_id: int, *, actor: Actor, if_none_match: str | None = None) -> ImageMetadata:
        """Bring an image back from the trash. A retry takes effect once.

        Raises:
            NotFound, Conflict (it is being removed), Forbidden, PreconditionFailed: nothing changed.
        """
        headers = self._write_headers(actor, None, if_none_match)
        path = f"/internal/trash/{entry_id}/restore"
        return cast(ImageMetadata, self._asked("POST", path, headers, timeout_seconds=30.0))

    def purge_trash(self, prefix: str = "", *, actor: Actor) -> int:
        """Remove what is in the trash for good, and give its number. Raises Forbidden, InvalidRequest."""
        path = f"/internal/trash/purge?{urlencode({'prefix': prefix})}"
        found = self._for_actor("POST", path, actor, timeout_seconds=WRITE_SECONDS)
        return cast("dict[str, int]", found)["purged"]

    def health(self) -> list[StorageHealth]:
        """How each storage app fares that answers. Raises Unavailable if none does."""
        found: list[StorageHealth] = []
        trouble: ElasticImagesError = Unavailable("No storage app answers.")
        for url in self._urls:
            if len(self._urls) > 1 and not self._breakers.allows(url):
                continue
            try:
                found.append(self._http.get_json(f"{url}/internal/health", timeout_seconds=self._timeout_seconds))
                self._breakers.succeeded(url)
            except Unavailable as error:
                self._breakers.failed(url)
                trouble = error
        if not found:
            raise trouble
        return found

    def usage(self) -> WholeUsage:
        """How much is stored."""
        return cast(WholeUsage, self._get("/internal/usage"))

    def bad_images(self, cursor: str | None = None) -> BadImagePage:
        """Images whose stored bytes are damaged or lost, by key. Raises InvalidRequest for a bad cursor."""
        query = "" if cursor is None else "?" + urlencode({"cursor": cursor})
        return cast(BadImagePage, self._get(f"/internal/bad_objects{query}"))

    def scrub_status(self) -> ScrubStatus:
        """How far the scrubber is."""
        return cast(ScrubStatus, self._get("/internal/scrub"))

    def request_scrub(self) -> ScrubStatus:
        """Ask for a round of the scrubber. Does not wait for it."""
        return cast(ScrubStatus, self._first(lambda url: self._http.post_json(f"{url}/internal/scrub", None)))

    def delete_all(self, *, actor: Actor) -> int:
        """Delete every image and give their number. Raises what `delete_all_progress` raises."""
        return max(self.delete_all_progress(actor=actor), default=0)

    def delete_all_progress(self, *, actor: Actor) -> Iterator[int]:
        """Delete every image, yielding how many are gone so far.

        Raises:
            Forbidden: the actor is not an administrator.
            Unavailable: it stopped halfway; calling again deletes the rest.
        """
        answer = self._first(
            lambda url: self._http.request(
                "POST",
                f"{url}/internal/delete_all",
                headers=_actor_headers(actor),
                timeout_seconds=WRITE_SECONDS,
                stream=True,
            )
        )
        try:
            for line in _lines(answer.stream(_CHUNK_BYTES)):
                if "error" in line:
                    raise Unavailable(str(line["error"]))
                yield int(line["deleted"])
                if line.get("done"):
                    return
            raise Unavailable("Storage stopped before all images were deleted.")
        finally:
            answer.close()

    def _get(self, path: str, actor: Actor | None = None) -> object:
        if actor is not None:
            return self._for_actor("GET", path, actor)
        return self._first(lambda url: self._http.get_json(url + path, timeout_seconds=self._timeout_seconds))

    def _for_actor(self, method: str, path: str, actor: Actor, *, timeout_seconds: float | None = None) -> object:
        return self._asked(
            method, path, _actor_headers(actor), timeout_seconds=timeout_seconds or self._timeout_seconds
        )

    def _asked(
        self, method: str, path: str, headers: dict[str, str], *, json: Any = None, timeout_seconds: float
    ) -> object:
        return self._first(
            lambda url: decoded(
                self._http.request(method, url + path, json=json, headers=headers, timeout_seconds=timeout_seconds)
            )
        )

    def _first(self, ask: Callable[[str], T], *, go_on: Callable[[], bool] = lambda: True) -> T:
        """The answer of the first storage app that is available."""
        trouble: ElasticImagesError = Unavailable("No storage app is configured.")
        for url in self._in_order():
            try:
                answer = ask(url)
            except Unavailable as error:
                self._breakers.failed(url)
                trouble = error
                if not go_on():
                    break
            except ElasticImagesError:
                self._breakers.succeeded(url)
                raise
            else:
                self._breakers.succeeded(url)
                return answer
        raise trouble

    def _in_order(self) -> Iterator[str]:
        """Every storage app once, those that just failed at the end. Lazy: breakers are asked only when needed."""
        if len(self._urls) == 1:
            yield self._urls[0]
            return
        skipped = []
        for url in self._urls:
            if self._breakers.allows(url):
                yield url
            else:
                skipped.append(url)
        yield from skipped

    def _write_headers(self, actor: Actor, if_match: str | None, if_none_match: str | None) -> dict[str, str]:
        headers = {"X-Write-Id": self._make_id(), **_actor_headers(actor)}
        if if_match is not None:
            headers["If-Match"] = if_match
        if if_none_match is not None:
            headers["If-None-Match"] = if_none_match
        return headers


class _Sending:
    """The body as it is sent: its bytes, followed by their SHA-256. Iterated once."""

    def __init__(self, body: Body, length_bytes: int) -> None:
        self._body = body
        self._length_bytes = length_bytes
        self.begun = False

    def put(self, http: InternalClient, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        length = {"Content-Length": str(self._length_bytes + hashlib.sha256().digest_size * 2)}
        return http.request("PUT", url, body=self, headers={**headers, **length}, timeout_seconds=WRITE_SECONDS)

    def __iter__(self) -> Iterator[bytes]:
        self.begun = True
        digest, left = hashlib.sha256(), self._length_bytes
        while left:
            chunk = self._body.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise IncompleteBody(f"The body ended {left:,} bytes early.")
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        yield digest.hexdigest().encode()


class _SendingWhole:
    """A small body, read before it is sent: storage never waits for it, and it takes no more memory than one chunk.

    It may be sent twice, because a repeated write takes effect once.
    """

    def __init__(self, body: Body, length_bytes: int) -> None:
        self._sent = b"".join(_Sending(body, length_bytes))
        self.begun = False

    def put(self, http: InternalClient, url: str, headers: Mapping[str, str]) -> LeanAnswer:
        self.begun = True
        try:
            return http.put(url, self._sent, headers=headers)
        except NotConnected:
            self.begun = False
            raise


def _actor_headers(actor: Actor | None) -> dict[str, str]:
    return {} if actor is None else {"X-Actor": json_module.dumps(actor.to_json())}


def _kept_headers(kept: RestoredFacts | None) -> dict[str, str]:
    if kept is None:
        return {}
    owner_id = {} if kept.owner_id is None else {KEEP_OWNER_ID_HEADER: str(kept.owner_id)}
    return {KEEP_FACTS_HEADER: kept.to_header(), **owner_id}


def _lines(chunks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield json_module.loads(line)
