"""What was looked at, and what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

OK, NOTE, BAD = "ok", "note", "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` says what to do about it; None where there is nothing to do."""

    area: str
    state: str
    """`ok`, `note` (works, but look at it), or `bad` (does not work)."""
    what: str
    mend: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


Check = Callable[[], Iterator[Finding]]
"""Looks at one area. Trouble comes out as findings, never as an error."""
