"""Which images are listed, and in which order; shared by the gallery and the image page."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from elastic_images.core.errors import InvalidRequest
from elastic_images.web.rest.api import checked_prefix

ORDERS = ("newest", "key")


@dataclass(frozen=True, slots=True)
class Listing:
    """The images whose keys begin with `prefix`, in `order`."""

    prefix: str
    order: str

    @classmethod
    def of(cls, args: Mapping[str, str]) -> Listing:
        """Read from a query string; newest first by default. Raises InvalidRequest."""
        prefix = checked_prefix(unicodedata.normalize("NFC", args.get("prefix", "")))
        order = args.get("order") or ORDERS[0]
        if order not in ORDERS:
            raise InvalidRequest(f"order must be {' or '.join(ORDERS)}.")
        # Storage can search by prefix only in key order.
        return cls(prefix, "key" if prefix else order)

    @property
    def folder(self) -> str:
        """The folder for new uploads: the complete segments of the prefix."""
        return self.prefix.rpartition("/")[0]

    @property
    def fields(self) -> dict[str, str]:
        """Its parameters; none for the default listing."""
        return {"prefix": self.prefix} if self.prefix else {"order": self.order} if self.order != ORDERS[0] else {}

    def query(self, **more: object) -> str:
        """As a query string, including `?`; empty for the default listing."""
        query = urlencode(self.fields | {name: str(value) for name, value in more.items()})
        return f"?{query}" if query else ""
