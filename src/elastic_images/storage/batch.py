"""Many changes in one call: what a batch says, checked. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from elastic_images.core.errors import InvalidKey, InvalidRequest, TooLarge
from elastic_images.core.keys import check_key, check_new_key
from elastic_images.core.visibility import Visibility, parse_visibility

MAX_OPERATIONS = 1000
_FIELDS = {"delete": {"op", "key"}, "move": {"op", "key", "to"}, "visibility": {"op", "key", "visibility"}}


@dataclass(frozen=True, slots=True)
class Operation:
    """One change: a rename if it has `to`, else of the visibility if it has one, else a deletion."""

    key: str
    to: str | None = None
    visibility: Visibility | None = None


def parse_operations(value: object) -> list[Operation]:
    """The operations of a batch.

    Raises:
        TooLarge: there are more than 1,000.
        InvalidRequest: one is malformed, or names a key that is named before, as old or as new one: the outcome would
            depend on their order. The message tells which one, counted from 1.
    """
    if not isinstance(value, list):
        raise InvalidRequest("operations must be a list.")
    if len(value) > MAX_OPERATIONS:
        raise TooLarge(f"A batch has at most {MAX_OPERATIONS:,} operations; this one has {len(value):,}: split it.")
    operations, named = list[Operation](), dict[str, int]()
    for number, item in enumerate(value, 1):
        try:
            operation = _operation(item)
        except InvalidRequest as error:
            raise type(error)(f"Operation {number}: {error}") from None
        operations.append(operation)
        for key in filter(None, (operation.key, operation.to)):
            if key in named:
                raise InvalidRequest(
                    f"Operation {number} names {key!r}, as operation {named[key]} does: once is enough."
                )
            named[key] = number
    return operations


def write_id_of(batch_id: str, place: int) -> str:
    """The write id of an operation, so that a repeated batch takes effect once."""
    return hashlib.sha256(f"{batch_id}:{place}".encode()).hexdigest()[:32]


def _operation(item: Any) -> Operation:
    op = item.get("op") if isinstance(item, dict) else None
    fields = _FIELDS.get(op) if isinstance(op, str) else None
    if fields is None:
        raise InvalidRequest("op must be delete, move or visibility.")
    if item.keys() != fields:
        raise InvalidRequest(f"{op} has {', '.join(sorted(fields))}, and nothing else.")
    key = check_key(_text(item["key"]))
    to = check_new_key(_text(item["to"])) if op == "move" else None
    return Operation(key, to, parse_visibility(item["visibility"]) if op == "visibility" else None)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidKey("A key must be a string.")
    return value
