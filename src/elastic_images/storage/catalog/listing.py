"""Pages of a listing: cursors, and where the keys with a prefix end. Pure."""

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
    """The last image of the page before: the next page begins behind it."""

    key: str
    updated_at: float = 0.0

    def encode(self, order: Order) -> str:
        """As an opaque text that is safe in a URL."""
        text = json.dumps([order, self.key, self.updated_at])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str, order: Order) -> Cursor:
    """Read what `Cursor.encode` gave. Raises InvalidRequest where it is something else, or of another order."""
    try:
        padded = text + "=" * (-len(text) % 4)
        kind, key, updated_at = json.loads(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
        key.encode()
        cursor = Cursor(key, float(updated_at))
    except (ValueError, TypeError, AttributeError, binascii.Error):
        raise InvalidRequest("This cursor is none that a listing gave.") from None
    if kind != order:
        raise InvalidRequest("This cursor belongs to a listing in another order.")
    return cursor


def end_of_prefix(prefix: bytes) -> bytes | None:
    """The smallest bytes above all that begin with `prefix`; None where there are none.

    The last byte that is not FF is raised, and what follows it is cut.
    """
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def check_limit(limit: int) -> int:
    """Give `limit` back where a page may have so many images. Raises InvalidRequest."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"limit is 1 to {MAX_LIMIT}.")
    return limit
