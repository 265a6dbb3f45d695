"""Pages of a listing, their cursors, and prefix ranges. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass
from typing import Literal

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.image_facts import ImageFacts, ImagePage

Order = Literal["key", "newest"]
Listing = Literal["key", "newest", "trash"]
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
    """The last entry of a page, by its key and its time or id; the next page starts after it."""

    key: str
    number: float = 0.0

    def encode(self, order: Listing) -> str:
        """Encode as an opaque, URL-safe string."""
        text = json.dumps([order, self.key, self.number])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str, order: Listing) -> Cursor:
    """Decode the output of `Cursor.encode`. Raises InvalidRequest if it is anything else, or of another order."""
    try:
        padded = text + "=" * (-len(text) % 4)
        kind, key, number = json.loads(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
        key.encode()
        cursor = Cursor(key, float(number))
    except (ValueError, OverflowError, TypeError, AttributeError, binascii.Error):
        raise InvalidRequest("Invalid cursor.") from None
    if not math.isfinite(cursor.number):
        raise InvalidRequest("Invalid cursor.")
    if kind != order:
        raise InvalidRequest("This cursor belongs to a listing with another order.")
    return cursor


def end_of_prefix(prefix: bytes) -> bytes | None:
    """The smallest byte string greater than all that start with `prefix`; None if there is none.

    The last byte other than FF is incremented, and everything after it is cut off.
    """
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def prefix_bytes(prefix: str) -> bytes:
    """The bytes of a prefix. Raises InvalidRequest if it is not valid Unicode."""
    try:
        return prefix.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("The prefix is not valid Unicode.") from None


def check_limit(limit: int) -> int:
    """Give `limit` back if it is a valid page size. Raises InvalidRequest."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"limit must be from 1 to {MAX_LIMIT}.")
    return limit
