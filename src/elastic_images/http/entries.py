"""Cache entries on the wire between our processes: bytes as the body, facts as headers."""

from __future__ import annotations

from collections.abc import Mapping

from elastic_images.core.entry import Entry, Headers
from elastic_images.core.errors import Unavailable


def fact_headers(version: int, updated_at: float) -> Headers:
    """The headers that answers between our processes have in addition to the public ones."""
    return [("X-Image-Version", str(version)), ("X-Image-Updated", repr(updated_at))]


def entry_from_answer(
    key: str, headers: Mapping[str, str], body: bytes, public_headers: Headers | None = None
) -> Entry:
    """The entry in another process's answer.

    It is served with `public_headers`; by default with the facts, for another process of ours. `headers` must find
    lower-case names. Raises Unavailable if a fact is missing.
    """
    try:
        version, updated_at = int(headers["x-image-version"]), float(headers["x-image-updated"])
        return Entry(
            key,
            body,
            content_type=headers["content-type"],
            etag=headers["etag"],
            version=version,
            updated_at=updated_at,
            extra_headers=fact_headers(version, updated_at) if public_headers is None else public_headers,
        )
    except (KeyError, ValueError) as error:
        raise Unavailable("Another process answered without the facts of the image.") from error
