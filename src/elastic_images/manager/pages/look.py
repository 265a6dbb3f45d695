"""What every page has: the shared front end, who asks, and the note of what was just done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, g

from elastic_images.manager.pages.answers import Answers
from elastic_images.manager.ring import ring
from elastic_images.ui import install

_STATIC = Path(__file__).parent.parent / "static"


def dress(app: Flask, answers: Answers) -> None:
    """Give `app` the front end, and its templates the variables and filters that they use."""
    install(app, manager=_STATIC)
    app.jinja_env.filters.update(joined=joined, plain=plain, ring=ring)

    @app.context_processor
    def variables() -> dict[str, Any]:
        # No principal: the request was refused before anybody looked at who asks.
        return {"me": g.get("principal"), "note": answers.taken()}


def joined(value: Any) -> str:
    """A list with commas between, anything else as its text, nothing as a dash."""
    if value is None or value in ("", []):
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def plain(value: float | None) -> str:
    """A number as a form field holds it, without losing a digit: `2`, `0.05`; empty for none."""
    return "" if value is None else f"{value:.15g}"
