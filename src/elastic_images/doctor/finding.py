"""The result of a check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

OK, NOTE, BAD = "ok", "note", "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `mend` says how to fix it; None if there is nothing to do."""

    area: str
    state: str
    """`ok`, `note` (works, but needs attention), or `bad` (does not work)."""
    what: str
    mend: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def compare_clocks(whose: str, skew_seconds: float, limit_seconds: float) -> Finding:
    """Whether another clock agrees with this machine's."""
    if skew_seconds > limit_seconds:
        return Finding("clocks", NOTE, f"{whose} clock differs by {skew_seconds:.0f} s", "set up NTP on this machine")
    return Finding("clocks", OK, f"{whose} clock agrees with this machine's")
