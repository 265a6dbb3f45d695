"""Pages of a listing, their cursors, and prefix ranges. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Literal

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.image_facts import ImageFacts, ImagePage

Order = Literal["key", "newest"]
MAX_LIMIT = 1000
DEFAULT_LIMIT = 100


@dataclass(frozen=True, slots=True)
class CatalogPage:
    """One page of a listing; `next` is the cursor of the page after it, None at the end."""

    images: tuple[ImageFacts, ...]
    next: str | None

    def to_json(self) -> ImagePage:
        """The page as JSON."""
        return {"images": [image.to_json() for image in self.images], "next": self.next}


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last image of a page; the next page starts after it."""

    key: str
    updated_at: float = 0.0

    def encode(self, order: Order) -> str:
        """Encode as an opaque, URL-safe string."""
        text = json.dumps([order, self.key, self.updated_at])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str, order: Order) -> Cursor:
    """Decode the output of `Cursor.encode`. Raises InvalidRequest if it is anything else, or of another order."""
    try:
        padded = text + "=" * (-len(text) % 4)
        kind, key, updated_at = json.loads(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
        key.encode()
        cursor = Cursor(key, float(updated_at))
    except (ValueError, TypeError, AttributeError, binascii.Error):
        raise InvalidRequest("Invalid cursor.") from None
    if kind != order:
        raise InvalidRequest("This cursor belongs to a listing with another order.")
    return cursor


def end_of_prefix(prefix: bytes) -> bytes | None:
    """The smallest byte string greater than all that start with `prefix`; None if there is none.

    The last byte other than FF is incremented, and everything after it is cut off.
    """
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def check_limit(limit: int) -> int:
    """Give `limit` back if it is a valid page size. Raises InvalidRequest."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"limit must be from 1 to {MAX_LIMIT}.")
    return limit
