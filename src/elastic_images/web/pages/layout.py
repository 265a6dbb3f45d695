"""What every page has: the shared front end, the notice of what was just done, and who looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, g, request

from elastic_images import ui
from elastic_images.accounts.access import scopes_for_everybody
from elastic_images.accounts.guard import Guard
from elastic_images.accounts.hosts import split_host
from elastic_images.core.keys import quote_key
from elastic_images.settings import Settings
from elastic_images.web.pages.browsers import browser_name

_STATIC = Path(__file__).parent.parent / "static"
_NOTICES = {
    "stored": "The image is stored.",
    "replaced": "The image was replaced.",
    "deleted": "The image was deleted.",
    "uploaded": "All images are stored.",
    "password": "Your password was changed, and your other sessions have ended.",
    "revoked": "The token was revoked.",
    "ended": "The session has ended.",
    "logged-out": "You are logged out.",
}


def dress(app: Flask, guard: Guard, settings: Settings) -> None:
    """Give `app` the filters and variables that the templates use, and pages their headers."""
    ui.install(app, web=_STATIC)
    app.jinja_env.filters.update(quote_key=quote_key, browser=browser_name)
    # Behind a proxy nobody knows where a browser finds the manager.
    manager_port = None if settings.trusted_proxies or settings.advertise else settings.port("manager")

    @app.context_processor
    def variables() -> dict[str, Any]:
        # No principal: the request was refused before anybody looked at who asks.
        me = g.get("principal")
        return {
            "me": me,
            "notice": _NOTICES.get(request.args.get("done", "")),
            "anonymous": guard.mode,
            "may_read": me is not None and "read" in me.scopes,
            "may_upload": me is not None and "write" in me.scopes,
            "open_to_all": sorted(scopes_for_everybody(guard.mode)),
            "manager_url": _manager_url(manager_port) if me is not None and me.is_admin else None,
        }


def _manager_url(port: int | None) -> str | None:
    """The manager on the host that the browser named; None where that is not known."""
    parts = split_host(g.client.host or "") if port and "client" in g else None
    if parts is None:
        return None
    name = f"[{parts[0]}]" if ":" in parts[0] else parts[0]
    return f"{g.client.scheme}://{name}:{port}/"
