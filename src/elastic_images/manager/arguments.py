"""Reads arguments from a request's query string."""

from __future__ import annotations

import re

from flask import request

from elastic_images.core.errors import InvalidRequest

MAX_RECORDS = 500
_WHOLE = re.compile(r"[0-9]{1,15}", re.ASCII)


def whole(name: str, default: int | None, low: int, high: int) -> int | None:
    """A whole number within the bounds; `default` if it is missing. Raises InvalidRequest."""
    given = request.args.get(name)
    if given is None or given == "":
        return default
    if not _WHOLE.fullmatch(given) or not low <= int(given) <= high:
        raise InvalidRequest(f"{name} must be a whole number from {low} to {high}.")
    return int(given)


def page_of_records(default_limit: int = 50) -> tuple[int, int | None]:
    """`limit` and `before` of a list of records. Raises InvalidRequest."""
    limit = whole("limit", default_limit, 1, MAX_RECORDS)
    return limit or default_limit, whole("before", None, 0, 10**15 - 1)
