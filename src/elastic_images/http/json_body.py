"""Reads and validates the JSON body of a request."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from flask import request

from elastic_images.core.errors import InvalidRequest

_Value = TypeVar("_Value")


def json_object(names: Collection[str] | None = None) -> dict[str, Any]:
    """The request's body, a JSON object with only these names (None: any). An empty body is an empty object.

    Raises:
        InvalidRequest: the body is something else.
    """
    try:
        value = request.get_json(force=True, silent=True) if request.get_data(cache=True) else {}
    except RecursionError:
        value = None  # thousands of nested brackets
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    unknown = [name for name in value if names is not None and name not in names]
    if unknown:
        raise InvalidRequest(f"Unknown name {unknown[0][:40]!r}; use {', '.join(names or ())}.")
    return value


def text(body: dict[str, Any], name: str) -> str | None:
    """A string of the body; None if it is missing. Raises InvalidRequest if it is something else."""
    return _optional(body, name, str, "a string")


def needed_text(body: dict[str, Any], name: str) -> str:
    """A required string of the body. Raises InvalidRequest."""
    value = text(body, name)
    if value is None:
        raise InvalidRequest(f"{name} is missing.")
    return value


def flag(body: dict[str, Any], name: str) -> bool | None:
    """True, False, or None if it is missing. Raises InvalidRequest if it is something else."""
    return _optional(body, name, bool, "true or false")


def seconds(body: dict[str, Any], name: str) -> float | None:
    """A number of the body; None if it is missing. Raises InvalidRequest if it is something else."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e15:
        raise InvalidRequest(f"{name} must be a number of seconds.")
    return float(value)


def texts(body: dict[str, Any], name: str) -> list[str]:
    """A required list of strings. Raises InvalidRequest."""
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidRequest(f"{name} must be a list of strings.")
    return value


def _optional(body: dict[str, Any], name: str, kind: type[_Value], words: str) -> _Value | None:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise InvalidRequest(f"{name} must be {words}.")
    return value
