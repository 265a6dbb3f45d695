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
from elastic_images.core.image_facts import Actor, ImageMetadata, ImagePage, Neighbours, Usage
from elastic_images.core.keys import check_key, quote_key
from elastic_images.core.renditions import split_name
from elastic_images.core.restored_facts import KEEP_FACTS_HEADER, KEEP_OWNER_ID_HEADER, RestoredFacts
from elastic_images.http.entries import entry_from_answer
from elastic_images.http.internal_client import WRITE_SECONDS, InternalClient, NoAnswer, decoded
from elastic_images.http.lean_client import LeanAnswer, NotConnected
from elastic_images.pool.circuit_breakers import CircuitBreakers

T = TypeVar("T")

_CHUNK_BYTES = 256 * 1024
_SETTLE_SECONDS = 15.0


_PASSED_OVER_SECONDS = 3.0
"""A storage host that is gone without a word costs each who asks it seconds: one in so long finds out, no more."""


class Body(Protocol):
    """A stream of bytes, read once."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" at the end."""


class StorageClient:
    """The storage apps' calls (docs/internal-api.md). Safe to share between threads.

    Of several storage apps the first that answers is used; one that did not is asked last for a few seconds. Every
    method raises Unavailable where none does, and InvalidKey for a text that is no key.
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
        self._http = http
        self._urls = [url.rstrip("/") for url in urls]
        self._timeout_seconds = timeout_seconds
        self._make_id = make_id
        self._breakers = CircuitBreakers(clock, failures=1, open_seconds=_PASSED_OVER_SECONDS)

    def get_entry(self, name: str) -> Entry:
        """The image, or rendition (`core.renditions`), of that name, read by a fresh transaction. Raises NotFound."""
        key, rendition = split_name(name)
        path = f"/internal/images/{quote_key(check_key(key))}" + (f"?rendition={rendition}" if rendition else "")
        answer = self._first(lambda url: self._http.fetch(url + path, timeout_seconds=self._timeout_seconds))
        return entry_from_answer(name, answer.headers, answer.body)

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
    ) -> tuple[bool, ImageMetadata]:
        """Store the next `length_bytes` of `body` under `key`: whether the key is new, and the metadata.

        `kept` is what the image brings along; the actor must be an administrator. Where the key had a version or time
        as new as that, the metadata has newer ones.

        The body is passed on as it comes and cannot be sent twice: another storage app is tried only while none of
        it was read. Where its answer is lost, another one says what became of it, or ends it for good. What
        `body.read` raises comes through, and storage keeps nothing then.

        Raises:
            IncompleteBody: `body` ended early.
            EmptyBody, TooLarge, NotAnImage, BrokenImage, Forbidden, PreconditionFailed, OutOfSpace: nothing changed.
            Unavailable: as well where a cache does not answer; the image may be stored then.
        """
        headers = {
            "X-Image-Length": str(length_bytes),
            "Content-Type": "application/octet-stream",
        }
        headers |= self._write_headers(actor, if_match, if_none_match) | _kept_headers(kept)
        path = f"/internal/images/{quote_key(check_key(key))}"
        sending = _SendingWhole(body, length_bytes) if length_bytes <= _CHUNK_BYTES else _Sending(body, length_bytes)

        def send(url: str) -> tuple[bool, ImageMetadata]:
            answer = sending.put(self._http, url + path, headers)
            return answer.status == 201, decoded(answer)

        try:
            return self._first(send, go_on=lambda: not sending.begun)
        except NoAnswer:
            if not sending.begun:
                raise
            return self._settle(key, headers["X-Write-Id"])

    def _settle(self, key: str, write_id: str) -> tuple[bool, ImageMetadata]:
        """As `put`, of one whose answer was lost. A write that came late would replace what is written after it."""
        path = f"/internal/settle/{quote_key(key)}"

        def ask(url: str) -> tuple[bool, ImageMetadata]:
            headers = {"X-Write-Id": write_id}
            answer = self._http.request("POST", url + path, headers=headers, timeout_seconds=_SETTLE_SECONDS)
            return answer.status == 201, decoded(answer)

        try:
            return self._first(ask)
        except NotFound:
            raise Unavailable(
                "The upload was cut off and nothing was changed; send it again.", retry_after_seconds=1
            ) from None

    def delete(self, key: str, *, actor: Actor, if_match: str | None = None) -> None:
        """Delete an image. Raises NotFound, Forbidden, PreconditionFailed. A repetition takes effect once."""
        headers = self._write_headers(actor, if_match, None)
        path = f"/internal/images/{quote_key(check_key(key))}"
        self._first(lambda url: self._http.request("DELETE", url + path, headers=headers, timeout_seconds=30.0))

    def metadata(self, key: str) -> ImageMetadata:
        """The metadata of an image. Raises NotFound."""
        return cast(ImageMetadata, self._get(f"/internal/metadata/{quote_key(check_key(key))}"))

    def page(self, *, prefix: str = "", limit: int = 100, cursor: str | None = None, order: str = "key") -> ImagePage:
        """One page of the listing; `order` is `key` or `newest`.

        Raises InvalidRequest for a bad limit or cursor, and for a prefix with `newest`.
        """
        query = {"prefix": prefix, "limit": limit, "order": order} | ({"cursor": cursor} if cursor else {})
        return cast(ImagePage, self._get("/internal/metadata?" + urlencode(query)))

    def neighbours(self, key: str, *, prefix: str = "", order: str = "key") -> Neighbours:
        """The images before and after `key` in a listing. Raises NotFound, and what `page` raises."""
        query = urlencode({"prefix": prefix, "order": order})
        return cast(Neighbours, self._get(f"/internal/neighbours/{quote_key(check_key(key))}?{query}"))

    def usage(self) -> Usage:
        """How much is stored."""
        return cast(Usage, self._get("/internal/usage"))

    def delete_all(self, *, actor: Actor) -> int:
        """Delete every image; how many there were. Raises as `delete_all_progress`."""
        return max(self.delete_all_progress(actor=actor), default=0)

    def delete_all_progress(self, *, actor: Actor) -> Iterator[int]:
        """Delete every image, yielding how many are gone so far.

        Raises:
            Forbidden: the actor is no administrator.
            Unavailable: it stopped on the way; the rest is still there, and asking again goes on.
        """
        answer = self._first(
            lambda url: self._http.request(
                "POST",
                f"{url}/internal/delete_all",
                headers={"X-Actor": json_module.dumps(actor.to_json())},
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

    def _get(self, path: str) -> object:
        return self._first(lambda url: self._http.get_json(url + path, timeout_seconds=self._timeout_seconds))

    def _first(self, ask: Callable[[str], T], *, go_on: Callable[[], bool] = lambda: True) -> T:
        """The answer of the first storage app that is available."""
        trouble: ElasticImagesError = Unavailable("No storage app is known.")
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
        """Every storage app once; those that failed a moment ago at the end. Asked for as they are needed."""
        if len(self._urls) == 1:
            yield self._urls[0]
            return
        passed_over = []
        for url in self._urls:
            if self._breakers.allows(url):
                yield url
            else:
                passed_over.append(url)
        yield from passed_over

    def _write_headers(self, actor: Actor, if_match: str | None, if_none_match: str | None) -> dict[str, str]:
        headers = {"X-Write-Id": self._make_id(), "X-Actor": json_module.dumps(actor.to_json())}
        if if_match is not None:
            headers["If-Match"] = if_match
        if if_none_match is not None:
            headers["If-None-Match"] = if_none_match
        return headers


class _Sending:
    """The body as it is sent: its bytes, and their SHA-256 behind them. Iterated once."""

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
                raise IncompleteBody(f"The body ended {left:,} bytes before its announced length.")
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        yield digest.hexdigest().encode()


class _SendingWhole:
    """A small body, read before it is sent: no more memory than one piece of a larger one, and no storage waits for it.

    It may be sent twice, because a write that is repeated takes effect once.
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
