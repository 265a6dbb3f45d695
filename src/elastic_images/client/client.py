"""`Client`: the images of a running system, from Python."""

from __future__ import annotations

import builtins
import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from elastic_images.client.api import Api, decoded
from elastic_images.client.batches import BatchResult, Operation, requests_of
from elastic_images.client.downloads import Download
from elastic_images.client.errors import error_of_status
from elastic_images.client.sources import Sent, Source, opened
from elastic_images.client.values import (
    Image,
    Link,
    Page,
    RenditionParameters,
    Restored,
    SigningKey,
    TrashEntry,
    Uploaded,
)
from elastic_images.core.errors import Conflict, InvalidRequest, NotFound, PreconditionFailed
from elastic_images.core.keys import check_key
from elastic_images.core.restored_facts import KEEP_FACTS_HEADER, RestoredFacts
from elastic_images.core.signed_links import signed_query
from elastic_images.core.visibility import VISIBILITY_HEADER, Visibility

if TYPE_CHECKING:
    from elastic_images.client.retries import Retries

PAGE_SIZE = 1000
MAX_DIGESTS = 1000
"""In one request."""
_CREATED = 201


class Client:
    """Images at `url`, the address of web. Safe to share between threads. A context manager: it keeps connections.

    `token` is an API token; without one, a caller may do what visitors may. `timeout` bounds each wait for data, in
    seconds. Calls are repeated as `retries` say. `pool_size` connections are kept; more are opened where needed.
    `signing_key` is for `sign_link`.

    Every call raises an `ElasticImagesError`: the one that the server answered with, by its kind (`NotFound`), with
    `status`, `slug`, `detail` and `request_id`; or NoAnswer, if there is no answer.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = 90.0,
        retries: Retries | None = None,
        pool_size: int = 10,
        signing_key: SigningKey | None = None,
    ) -> None:
        self._signing_key = signing_key
        self._api = Api(url, token, timeout=timeout, retries=retries, pool_size=pool_size)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections."""
        self._api.close()

    # ---- One image ----

    def upload(
        self,
        key: str,
        source: Source,
        *,
        visibility: Visibility | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        keep: RestoredFacts | None = None,
    ) -> Uploaded:
        """Store bytes or a file, and give the image's metadata.

        `if_none_match="*"`: only if the key is free; `if_match=image.etag`: only if that is the current image. `keep`
        restores the facts that it had elsewhere, for administrators.

        Without a condition a repeated upload simply stores the same bytes once more. With one, it may find that the
        image is there because of an attempt whose answer was lost: this counts as its own if the bytes are, and is
        stored once more so that it is acknowledged.

        Raises:
            PreconditionFailed: the condition does not hold.
            Conflict: the stored bytes are not those that were sent; the file changed meanwhile.
            OSError: the file cannot be read.
        """
        given = {
            VISIBILITY_HEADER: visibility,
            "If-Match": if_match,
            "If-None-Match": if_none_match,
            KEEP_FACTS_HEADER: None if keep is None else keep.to_header(),
        }
        headers = {name: value for name, value in given.items() if value is not None}
        attempts = 0

        def attempt(body: Sent) -> Uploaded:
            nonlocal attempts
            attempts += 1
            try:
                return self._put(key, body, headers)
            except PreconditionFailed:
                if attempts == 1 or (mine := self._find(key)) is None or mine.sha256 != body.sha256:
                    raise
                headers.pop("If-None-Match", None)
                headers["If-Match"] = mine.etag
                return self._put(key, body, headers)

        with opened(source) as body:
            stored = self._api.repeated(lambda: attempt(body))
        return replace(stored, created=True) if if_none_match == "*" else stored

    def info(self, key: str) -> Image:
        """An image's metadata. Raises NotFound."""
        return Image.from_json(self._api.get(_resource(key)))

    def get(self, key: str, *, if_match: str | None = None, **rendition: Unpack[RenditionParameters]) -> bytes:
        """The bytes of an image, or of a rendition: `get("k1", w=400, format="webp")`. Raises NotFound.

        They are checked against the SHA-256 in the ETag.
        """

        def attempt() -> bytes:
            with self._opened(key, if_match, rendition) as download:
                return b"".join(download)

        return self._api.repeated(attempt)

    def open(self, key: str, *, if_match: str | None = None, **rendition: Unpack[RenditionParameters]) -> Download:
        """As `get`, to be read in chunks: `with client.open("k1") as image: ...`. What was begun is not repeated."""
        return self._api.repeated(lambda: self._opened(key, if_match, rendition))

    def download(
        self,
        key: str,
        file: str | os.PathLike[str],
        *,
        if_match: str | None = None,
        **rendition: Unpack[RenditionParameters],
    ) -> str:
        """As `get`, into a file, whole or not at all. Returns the SHA-256 of its bytes. Raises OSError, too.

        An existing file is replaced.
        """

        def attempt() -> str:
            with self._opened(key, if_match, rendition) as download:
                return download.save(Path(file))

        return self._api.repeated(attempt)

    def image_url(self, key: str, **rendition: Unpack[RenditionParameters]) -> str:
        """The absolute address of an image or a rendition, for pages. Makes no request."""
        return self._api.address(f"/images/{check_key(key)}", _query(rendition))

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Move an image into the trash. Raises NotFound; not if an attempt without an answer deleted it."""
        headers = {} if if_match is None else {"If-Match": if_match}
        attempts = 0

        def attempt() -> None:
            nonlocal attempts
            attempts += 1
            try:
                self._api.once("DELETE", _resource(key), headers=headers)
            except NotFound:
                if attempts == 1:
                    raise

        self._api.repeated(attempt)

    def move(self, key: str, to: str) -> Image:
        """Rename an image. The old address is 404 then.

        Raises:
            NotFound: there is none; not if an attempt without an answer renamed it.
            Conflict: there is an image `to`.
        """
        check_key(to)
        attempts = 0

        def attempt() -> Image:
            nonlocal attempts
            attempts += 1
            try:
                return self._patch(key, {"key": to})
            except NotFound:
                if attempts == 1 or (moved := self._find(to)) is None:
                    raise
                return moved

        return self._api.repeated(attempt)

    def set_visibility(self, key: str, visibility: Visibility) -> Image:
        """Say who may see an image. Raises NotFound."""
        return self._api.repeated(lambda: self._patch(key, {"visibility": visibility}))

    # ---- Many images ----

    def list(
        self,
        prefix: str = "",
        *,
        visibility: Visibility | None = None,
        limit: int = PAGE_SIZE,
        cursor: str | None = None,
    ) -> Page:
        """One page of the images whose key starts with `prefix`, in key order. `cursor` is the `next` of a page."""
        found = self._api.get("/api/images", prefix=prefix, visibility=visibility, limit=limit, cursor=cursor)
        return _page(found)

    def iterate(self, prefix: str = "", *, visibility: Visibility | None = None) -> Iterator[Image]:
        """All images whose key starts with `prefix`, in key order. Pages are fetched as they are needed."""
        for page in self._api.pages("/api/images", prefix=prefix, visibility=visibility, limit=PAGE_SIZE):
            yield from _page(page).images

    def batch(self, operations: Iterable[Operation]) -> Sequence[BatchResult]:
        """Carry out `Delete`, `Move` and `SetVisibility`, each by itself, and give their results in order.

        A request has up to 1,000 operations and each key once: what comes again goes into the next one. A request that
        may have been carried out in part is not repeated: look at what is there, then give the rest of them.
        """
        results: builtins.list[BatchResult] = []
        for part in requests_of(operations):
            value = {"operations": [operation.to_json() for operation in part]}
            answer = self._api.json("POST", "/api/images/batch", value, only_unsent=True)
            results += [
                BatchResult(operation, _failure(found))
                for operation, found in zip(part, answer["results"], strict=True)
            ]
        return results

    def have(self, digests: Iterable[str]) -> dict[str, str]:
        """Which of these SHA-256 digests, in hex, are already here, each with a key: among your own images, or all."""
        given, found = builtins.list(digests), dict[str, str]()
        for start in range(0, len(given), MAX_DIGESTS):
            part = given[start : start + MAX_DIGESTS]
            found |= self._api.json("POST", "/api/images/have", {"digests": part})["have"]
        return found

    # ---- Links ----

    def link(self, key: str, expires_in: float, **rendition: Unpack[RenditionParameters]) -> Link:
        """An address that opens this image or rendition to whoever has it, for `expires_in` seconds.

        It does not open what you may not see, now or later. Raises NotFound.
        """
        wanted = {"key": check_key(key), "params": rendition, "expires_in": expires_in}
        return Link.from_json(self._api.json("POST", "/api/links", wanted))

    def sign_link(self, key: str, expires_in: float, **rendition: Unpack[RenditionParameters]) -> str:
        """As `link`, signed with the client's `signing_key`, without a request. Raises InvalidRequest without one."""
        if self._signing_key is None:
            raise InvalidRequest("A link is signed with a key: give the client its signing_key, or use link().")
        given = {name: str(value) for name, value in _query(rendition).items()}
        expires_at = math.ceil(time.time() + expires_in)
        query = signed_query(self._signing_key.secret, self._signing_key.kid, key, given, expires_at)
        return f"{self.image_url(key)}?{query}"

    def upload_link(
        self,
        *,
        key: str | None = None,
        prefix: str | None = None,
        expires_in: float,
        max_bytes: int | None = None,
        visibility: Visibility | None = None,
    ) -> Link:
        """An address to which one image of up to `max_bytes` may be PUT once, without a token, as yours.

        It is for `key`, or for any one free key that begins with `prefix`: its `{name}` stands for the rest of the key.
        """
        wanted = {
            "key": key,
            "prefix": prefix,
            "expires_in": expires_in,
            "max_bytes": max_bytes,
            "visibility": visibility,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        return Link.from_json(self._api.json("POST", "/api/upload-links", given))

    # ---- The trash ----

    def trash(self, prefix: str = "") -> Iterator[TrashEntry]:
        """What can be restored of keys that start with `prefix`: your own, or everybody's for administrators."""
        for page in self._api.pages("/api/trash", prefix=prefix, limit=PAGE_SIZE):
            yield from map(TrashEntry.from_json, page["entries"])

    def restore(self, key: str) -> Restored:
        """Restore the newest image of a key that is in the trash. The present one goes there. Raises NotFound."""
        (result,) = self._restored({"key": check_key(key)})
        if result.error is not None:
            raise result.error
        return result

    def restore_entries(self, ids: Iterable[int]) -> Sequence[Restored]:
        """Restore entries of the trash by their ids, each by itself, up to 1,000."""
        return self._restored({"ids": builtins.list(ids)})

    def purge_trash(self, prefix: str = "") -> int:
        """Remove these entries of the trash for good. For administrators. Returns their number."""
        return int(self._api.json("POST", "/api/trash/purge", {"prefix": prefix}, only_unsent=True)["purged"])

    def _put(self, key: str, body: Sent, headers: dict[str, str]) -> Uploaded:
        body.rewind()
        sent = {"Content-Length": str(body.size_bytes), "Content-Type": "application/octet-stream", **headers}
        answer = self._api.once("PUT", _resource(key), body=body, headers=sent)
        stored = Uploaded.from_json({**decoded(answer), "created": answer.status == _CREATED})
        if stored.sha256 != body.sha256 and not stored.location_removed:
            raise Conflict("Other bytes were stored than were sent: the file changed meanwhile; upload it again.")
        return stored

    def _patch(self, key: str, changes: dict[str, str]) -> Image:
        return Image.from_json(decoded(self._api.once("PATCH", _resource(key), json=changes)))

    def _find(self, key: str) -> Image | None:
        """The image of a key, asked for once."""
        try:
            return Image.from_json(decoded(self._api.once("GET", _resource(key))))
        except NotFound:
            return None

    def _opened(self, key: str, if_match: str | None, rendition: RenditionParameters) -> Download:
        headers = {} if if_match is None else {"If-Match": if_match}
        path = f"/images/{check_key(key)}"
        found = Download(self._api.once("GET", path, query=_query(rendition), headers=headers, stream=True))
        if if_match not in (None, "*", found.etag):  # a cache on the way paid no attention to it
            found.close()
            raise PreconditionFailed("The image has changed: it does not have the given ETag.")
        return found

    def _restored(self, wanted: dict[str, Any]) -> Sequence[Restored]:
        answer = self._api.json("POST", "/api/trash/restore", wanted, only_unsent=True)
        return [Restored(found["id"], found["key"], _failure(found)) for found in answer["results"]]


def _resource(key: str) -> str:
    return f"/api/images/{check_key(key)}"


def _query(rendition: RenditionParameters) -> dict[str, object]:
    return {name: f"{value:g}" if isinstance(value, float) else value for name, value in rendition.items()}


def _page(found: Any) -> Page:
    return Page(tuple(map(Image.from_json, found["images"])), found["next"])


def _failure(found: dict[str, Any]) -> Any:
    """The error in one result among several; None if it has none."""
    return error_of_status(found["status"], found["detail"]) if "detail" in found else None
