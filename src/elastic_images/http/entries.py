"""Cache entries on the wire between our processes: bytes as the body, facts as headers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from elastic_images.core.entry import Entry, Headers
from elastic_images.core.errors import Unavailable
from elastic_images.core.image_facts import quoted

_FACTS = frozenset({"x-image-version", "x-image-updated", "content-type", "etag"})


def fact_headers(version: int, updated_at: float, original: str | None = None) -> Headers:
    """The headers that answers between our processes have in addition to the public ones.

    `original` is the SHA-256 of a rendition's original.
    """
    facts = [("X-Image-Version", str(version)), ("X-Image-Updated", repr(updated_at))]
    return [*facts, ("X-Image-Original", original)] if original else facts


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
    try:
        version, updated_at = int(headers["x-image-version"]), float(headers["x-image-updated"])
        original = headers.get("x-image-original")
        return Entry(
            key,
            body,
            content_type=headers["content-type"],
            etag=headers["etag"],
            version=version,
            updated_at=updated_at,
            original=original,
            extra_headers=fact_headers(version, updated_at, original) if public_headers is None else public_headers,
        )
    except (KeyError, ValueError) as error:
        raise Unavailable("Another process answered without the facts of the image.") from error
