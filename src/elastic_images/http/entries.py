"""Cache entries on the wire between our processes: bytes as the body, facts as headers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from elastic_images.core.entry import FETCH_SECONDS, Entry, Headers
from elastic_images.core.errors import InvalidRequest, Unavailable
from elastic_images.core.image_facts import quoted
from elastic_images.core.visibility import Visibility, parse_visibility

_FACTS = frozenset({"x-image-version", "x-image-updated", "x-image-visibility", "content-type", "etag"})


def fact_headers(
    version: int,
    updated_at: float,
    visibility: Visibility,
    owner_id: int | None,
    original: str | None = None,
    cost_seconds: float = FETCH_SECONDS,
) -> Headers:
    """The headers that answers between our processes have in addition to the public ones.

    `original` is the SHA-256 of a rendition's original, `cost_seconds` what it took to make.
    """
    facts = [
        ("X-Image-Version", str(version)),
        ("X-Image-Updated", repr(updated_at)),
        *visibility_headers(visibility, owner_id),
    ]
    if original:
        facts += [("X-Image-Original", original), ("X-Image-Cost", repr(cost_seconds))]
    return facts


def visibility_headers(visibility: Visibility, owner_id: int | None) -> Headers:
    """Those of them that say who may see the image."""
    told = [("X-Image-Visibility", str(visibility))]
    return told if owner_id is None else [*told, ("X-Image-Owner", str(owner_id))]


def told_visibility(headers: Mapping[str, str]) -> tuple[Visibility, int | None] | None:
    """The visibility and the owner's id that these headers, by lower-case name, tell; None if they do not.

    Processes of protocol 2 tell nothing.
    """
    visibility, owner = headers.get("x-image-visibility"), headers.get("x-image-owner")
    try:
        return None if visibility is None else (parse_visibility(visibility), int(owner) if owner else None)
    except (ValueError, InvalidRequest):
        return None


def has_facts(headers: Mapping[str, str]) -> bool:
    """Whether these headers, by lower-case name, have all facts that an entry needs."""
    return headers.keys() >= _FACTS


def entry_from_answer(
    key: str, headers: Mapping[str, str], body: bytes, public_headers: Headers | None = None
) -> Entry:
    """The entry in another process's answer, whose bytes must have the SHA-256 that its ETag names.

    It is served with `public_headers`; by default with the facts, for another process of ours. `headers` must find
    lower-case names. Raises Unavailable if a fact is missing or the bytes are wrong.
    """
    if headers.get("etag") != quoted(hashlib.sha256(body).hexdigest()):
        raise Unavailable("The image was damaged on its way from another process.")
    told = told_visibility(headers)
    try:
        version, updated_at = int(headers["x-image-version"]), float(headers["x-image-updated"])
        content_type = headers["content-type"]
        cost_seconds = float(headers.get("x-image-cost", FETCH_SECONDS))
    except (KeyError, ValueError):
        told = None
    if told is None:
        raise Unavailable("Another process answered without the facts of the image.")
    original = headers.get("x-image-original")
    if public_headers is None:
        public_headers = fact_headers(version, updated_at, *told, original, cost_seconds)
    return Entry(
        key,
        body,
        content_type=content_type,
        etag=headers["etag"],
        version=version,
        updated_at=updated_at,
        visibility=told[0],
        owner_id=told[1],
        original=original,
        cost_seconds=cost_seconds,
        extra_headers=public_headers,
    )
