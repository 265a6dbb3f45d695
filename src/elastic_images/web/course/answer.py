"""How the course API says that a call was done."""

from __future__ import annotations

from typing import Any


def success(**facts: Any) -> dict[str, Any]:
    """The answer of a call that was done."""
    return {"success": "true", **facts}
