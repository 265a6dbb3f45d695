"""Problem documents (RFC 9457), as our apps write them, read. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from elastic_images.core import errors
from elastic_images.core.errors import ElasticImagesError

PROBLEM_TYPE_PREFIX = "https://elastic-images.example/problems/"
"""A document's `type` is this plus the error's slug: a name, not an address to fetch (RFC 9457, section 3.1.1)."""
REQUEST_ID_PREFIX = "urn:request:"
"""A document's `instance` is this plus the request's id in the log."""

KINDS: dict[str, type[ElasticImagesError]] = {
    kind.slug: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ElasticImagesError)
}
"""Every error that crosses a package boundary, by slug."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document."""

    slug: str
    detail: str
    request_id: str | None

    @classmethod
    def parse(cls, body: bytes) -> Problem | None:
        """The document in a body; None if it is none of ours."""
        try:
            document = json.loads(body)
            type_, detail, instance = str(document["type"]), str(document["detail"]), document.get("instance")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        if not type_.startswith(PROBLEM_TYPE_PREFIX):
            return None
        request_id = str(instance).removeprefix(REQUEST_ID_PREFIX) if instance else None
        return cls(type_.removeprefix(PROBLEM_TYPE_PREFIX), detail, request_id)


def retry_after(text: str | None) -> int | None:
    """The seconds in a `Retry-After`; None without any."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else None
