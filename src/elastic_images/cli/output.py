"""How commands print: JSON for scripts, tables for people."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click


def settle_output() -> None:
    """Flush standard output. If its reader is gone, discard the rest, or Python would complain at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table with a heading."""
    texts = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(headings), *texts]) for column in range(len(headings))]
    for row in [list(headings), *texts]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def printable(value: Any) -> str:
    """The value as text that cannot fool a terminal: what could is shown as an escape.

    Into a pipe or a file, keys go byte for byte. They have no control characters, which are escaped everywhere.
    """
    text = "" if value is None else str(value)
    harmful = _ON_TERMINALS if sys.stdout.isatty() else _EVERYWHERE
    return harmful.sub(lambda found: found[0].encode("unicode-escape").decode(), text)


_EVERYWHERE = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ON_TERMINALS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, and those that change the direction of what follows (Unicode Standard Annex 9)."""


def escape_what_cannot_be_encoded() -> None:
    """Let standard output escape characters that its encoding lacks, as standard error does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def moment(seconds: float | None) -> str:
    """A time in UTC; the empty string for None."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def amount(count: int) -> str:
    """A human-readable size, in decimal units."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
