"""What every page has: the shared front end, the user, and the flash message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, g

from elastic_images.manager.pages.answers import Answers
from elastic_images.manager.ring import ring
from elastic_images.settings import Settings
from elastic_images.ui import install
from elastic_images.ui.neighbours import neighbour_url

_STATIC = Path(__file__).parent.parent / "static"


def install_layout(app: Flask, answers: Answers, settings: Settings) -> None:
    """Give `app` the front end, and its templates their variables and filters."""
    install(app, manager=_STATIC)
    # Behind a proxy, the address of web is unknown.
    web_port = None if settings.trusted_proxies or settings.advertise else settings.port("web")
    app.jinja_env.filters.update(joined=joined, plain=plain, ring=ring)

    @app.context_processor
    def variables() -> dict[str, Any]:
        # There is no principal if the request was refused before authentication.
        client = g.get("client")
        web_url = neighbour_url(client.scheme, client.host, web_port) if client and web_port else None
        return {"me": g.get("principal"), "flash": answers.taken(), "web_url": web_url}


def joined(value: Any) -> str:
    """A list joined by commas, anything else as text, nothing as a dash."""
    if value is None or value in ("", []):
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def plain(value: float | None) -> str:
    """A number for a form field, with all digits: `2`, `0.05`; empty for None."""
    return "" if value is None else f"{value:.15g}"
