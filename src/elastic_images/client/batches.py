"""Many changes in one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.visibility import Visibility

MAX_OPERATIONS = 1000
"""In one request."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an image."""

    key: str

    def to_json(self) -> dict[str, Any]:
        """As docs/api.md has it."""
        return {"op": "delete", "key": self.key}


@dataclass(frozen=True, slots=True)
class Move:
    """Rename an image."""

    key: str
    to: str

    def to_json(self) -> dict[str, Any]:
        """As docs/api.md has it."""
        return {"op": "move", "key": self.key, "to": self.to}


@dataclass(frozen=True, slots=True)
class SetVisibility:
    """Say who may see an image."""

    key: str
    visibility: Visibility

    def to_json(self) -> dict[str, Any]:
        """As docs/api.md has it."""
        return {"op": "visibility", "key": self.key, "visibility": self.visibility}


Operation = Delete | Move | SetVisibility


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one operation."""

    operation: Operation
    error: ElasticImagesError | None = None
    """Why it was not carried out."""


def requests_of(operations: Iterable[Operation]) -> Iterator[Sequence[Operation]]:
    """The operations of each request, in order: up to 1,000, with no key twice, old or new."""
    part: list[Operation] = []
    keys: set[str] = set()
    for operation in operations:
        named = {operation.key, operation.to} if isinstance(operation, Move) else {operation.key}
        if len(part) == MAX_OPERATIONS or named & keys:
            yield part
            part, keys = [], set()
        part.append(operation)
        keys |= named
    if part:
        yield part
