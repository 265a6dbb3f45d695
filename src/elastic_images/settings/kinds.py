"""The kinds of value that settings have, each with a reader for text and TOML values.

A reader returns the value, or raises ValueError with the end of the sentence "NAME must be ...".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.rendition_query import parse_preset

_RATIO = re.compile(r"[1-9][0-9]{0,4}:[1-9][0-9]{0,4}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)

_SWITCH = {"on": True, "1": True, "true": True, "yes": True, "off": False, "0": False, "false": False, "no": False}

Reader = Callable[[Any], Any]


def text(value: Any) -> str:
    """Text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("non-empty text")
    return value.strip()


def name(value: Any) -> str:
    """A short, portable name: up to 64 letters, digits, - and _."""
    if not isinstance(value, str) or not _NAME.fullmatch(value.strip()):
        raise ValueError("a name of up to 64 letters, digits, - and _")
    return value.strip()


def path(value: Any) -> Path:
    """A path, made absolute; `~` means the home folder."""
    return Path(text(value)).expanduser().absolute()


def choice(*words: str) -> Reader:
    """One of the words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return str(value)

    return read


def switch(value: Any) -> bool:
    """On or off, as people write it."""
    found = _SWITCH.get(as_text(value).strip().lower())
    if found is None:
        raise ValueError("on or off")
    return found


def integer(low: int, high: int, *, step: int = 1) -> Reader:
    """A whole number within the bounds, both included."""
    wanted = f"a whole number from {low} to {high}" + (f" in steps of {step}" if step > 1 else "")

    def read(value: Any) -> int:
        try:
            number = int(value.strip().replace("_", "")) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(wanted) from None
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high or number % step:
            raise ValueError(wanted)
        return number

    return read


def number(low: float, high: float) -> Reader:
    """A finite number within the bounds, both included."""
    wanted = f"a number from {low:g} to {high:g}"

    def read(value: Any) -> float:
        try:
            found = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            raise ValueError(wanted) from None
        if not low <= found <= high:  # also false for nan
            raise ValueError(wanted)
        return found

    return read


def url(*schemes: str, also: tuple[str, ...] = ()) -> Reader:
    """A URL of one of the schemes (`mysql` covers `mysql+pymysql`), or one of the words in `also`."""
    wanted = " or ".join([*also, *(f"{scheme}://..." for scheme in schemes)])

    def read(value: Any) -> str:
        found = text(value) if isinstance(value, str) and value.strip() else ""
        if found in also:
            return found
        scheme, separator, _ = found.partition("://")
        if not separator or scheme.lower().partition("+")[0] not in schemes:
            raise ValueError(wanted)
        return found

    return read


def some(item: Reader) -> Reader:
    """As `several`, with at least one."""
    items = several(item)

    def read(value: Any) -> tuple[Any, ...]:
        found: tuple[Any, ...] = items(value)
        if not found:
            raise ValueError("a list of at least one item, separated by commas")
        return found

    return read


def several(item: Reader) -> Reader:
    """A list: text with commas between its items, or a TOML array."""

    def read(value: Any) -> tuple[Any, ...]:
        items = value.split(",") if isinstance(value, str) else value
        if isinstance(items, list | tuple):
            return tuple(item(one) for one in items if not isinstance(one, str) or one.strip())
        raise ValueError("a list of items separated by commas")

    return read


def origin(value: Any) -> str:
    """What browsers send in `Origin`: scheme, host and port; or `*`."""
    found = text(value).lower()
    parts = urlsplit(found)
    if found != "*" and not (
        parts.scheme in ("http", "https") and parts.netloc and found == f"{parts.scheme}://{parts.netloc}"
    ):
        raise ValueError("a list of origins such as https://app.example.com, without a path, separated by commas")
    return found


def ratio(value: Any) -> str:
    """A ratio of two whole numbers, `W:H`."""
    found = value.strip() if isinstance(value, str) else ""
    if not _RATIO.fullmatch(found):
        raise ValueError("a list of ratios such as 4:3, separated by commas")
    return found


def preset(value: Any) -> str:
    """A rendition with a name, as `core.rendition_query` reads it."""
    try:
        parse_preset(text(value))
    except InvalidRequest as error:
        raise ValueError(f"a list such as card=w=400&h=300&fit=cover, separated by commas. {error}") from None
    return text(value)


def http_url(value: Any) -> str:
    """The URL of an HTTP server, without a trailing slash."""
    found = str(url("http", "https")(value)).rstrip("/")
    try:
        parts = urlsplit(found)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("http://HOST:PORT")
    return found


def as_text(value: Any) -> str:
    """The value as text that its reader accepts; None becomes the empty string."""
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
