"""Which images a person looks at, and in which order: the same on the gallery and on an image's page."""

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
        """What a query asks for; newest first where it does not say. Raises InvalidRequest."""
        prefix = checked_prefix(unicodedata.normalize("NFC", args.get("prefix", "")))
        order = args.get("order") or ORDERS[0]
        if order not in ORDERS:
            raise InvalidRequest(f"order must be {' or '.join(ORDERS)}.")
        # By key is the only order in which storage finds the keys with a prefix.
        return cls(prefix, "key" if prefix else order)

    @property
    def folder(self) -> str:
        """Where new images go while a person looks at these: the whole segments of the prefix."""
        return self.prefix.rpartition("/")[0]

    def query(self, **more: object) -> str:
        """As the query of an address, `?` included; empty for newest first."""
        given = {"prefix": self.prefix} if self.prefix else {"order": self.order} if self.order != ORDERS[0] else {}
        query = urlencode(given | {name: str(value) for name, value in more.items()})
        return f"?{query}" if query else ""
