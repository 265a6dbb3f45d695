"""The headers of answers that clients get: by who may see the image, and by the query of the request.

Nothing here depends on who asks: an image has one presentation, whoever of those who may see it reads it.
"""

from __future__ import annotations

from elastic_images.core.entry import Entry, Headers, head_lines
from elastic_images.core.image_facts import VERSION_DIGITS
from elastic_images.core.visibility import Visibility
from elastic_images.http.answer import Answer
from elastic_images.web.reads.requested_images import AS_USUAL, RequestedImages

_SAFE: Headers = [("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", "default-src 'none'; sandbox")]
_ANY_ORIGIN = ("Access-Control-Allow-Origin", "*")
# A max-age would let clients show replaced images (I2).
_OPEN: Headers = [("Cache-Control", "public, no-cache"), *_SAFE, _ANY_ORIGIN]
_CLOSED: Headers = [("Cache-Control", "private, no-cache"), *_SAFE]
_IMMUTABLE, _VARIES = ("Cache-Control", "public, max-age=31536000, immutable"), ("Vary", "Accept")
_OPEN_LINE, _IMMUTABLE_LINE, _VARIES_LINE = head_lines(_OPEN[:1]), head_lines([_IMMUTABLE]), head_lines([_VARIES])
_ANY_ORIGIN_LINE = head_lines([_ANY_ORIGIN])
_NEAR = ("X-Cache", "HIT-NEAR")


class ClientHeaders:
    """Safe to share between threads."""

    def __init__(self, requested: RequestedImages, free: Visibility | None) -> None:
        """`free`: the visibility of what anybody may read; shared caches may keep that."""
        self._requested = requested
        self._free = free

    def of(self, visibility: Visibility) -> Headers:
        """Those of every answer about an image of this visibility."""
        return _OPEN if visibility == self._free else _CLOSED

    def near(self, visibility: Visibility) -> Headers:
        """Those of entries in the near cache."""
        return [*self.of(visibility), _NEAR]

    def presented(self, given: Answer, original: str, visibility: Visibility, query: str) -> Answer:
        """An answer that has `of`, with the headers that its query demands. `original`: the original's SHA-256."""
        if not query:
            return given
        version, varies, signed = self._requested.presentation(query)
        headers = [*given.headers, _VARIES] if varies else given.headers
        if signed and visibility != self._free:
            headers = [*headers, _ANY_ORIGIN]
        if self._is_immutable(version, original, visibility):
            headers = [_IMMUTABLE if name == _IMMUTABLE[0] else (name, value) for name, value in headers]
        return Answer(given.status, headers, given.body)

    def presented_head(self, entry: Entry, query: str, now: float) -> bytes:
        """The same for the head of a near entry, without taking it apart."""
        head = entry.head_at(now)
        presentation = self._requested.presentation(query)
        if presentation is AS_USUAL:
            return head
        if self._is_immutable(presentation.version, entry.original, entry.visibility):
            head = head.replace(_OPEN_LINE, _IMMUTABLE_LINE)
        if presentation.signed and entry.visibility != self._free:
            head += _ANY_ORIGIN_LINE
        return head + _VARIES_LINE if presentation.varies else head

    def _is_immutable(self, version: str | None, original: str, visibility: Visibility) -> bool:
        return version is not None and version == original[:VERSION_DIGITS] and visibility == self._free
