"""What all pages share: the front end, the notice after an action, and the current user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, g, request

from elastic_images import ui
from elastic_images.accounts.access import scopes_for_everybody
from elastic_images.accounts.guard import Guard
from elastic_images.core.keys import quote_key
from elastic_images.settings import Settings
from elastic_images.ui.neighbours import neighbour_url
from elastic_images.web.pages.visibility_words import visibility_words

_STATIC = Path(__file__).parent.parent / "static"
_NOTICES = {
    "stored": "Image uploaded.",
    "replaced": "Image replaced.",
    "renamed": "Image renamed.",
    "visibility": "Visibility changed.",
    "deleted": "Image deleted.",
    "restored": "Image restored.",
    "uploaded": "All images uploaded.",
    "password": "Password changed. Your other sessions have been signed out.",
    "revoked": "Token revoked.",
    "key-revoked": "Signing key revoked.",
    "ended": "Session signed out.",
    "logged-out": "You have logged out.",
}


def install_layout(app: Flask, guard: Guard, settings: Settings) -> None:
    """Add the shared front end, and the filters and variables that the templates use."""
    ui.install(app, web=_STATIC)
    app.jinja_env.filters.update(quote_key=quote_key)
    # Behind a proxy, the manager's public address is unknown.
    manager_port = None if settings.trusted_proxies or settings.advertise else settings.port("manager")

    visibilities = visibility_words(guard.mode)
    days = settings.retention_days
    trash_time = "5 minutes" if days == 0 else "a day" if days == 1 else f"{days} days"

    @app.context_processor
    def variables() -> dict[str, Any]:
        # Absent if the request was refused before authentication.
        me, client = g.get("principal"), g.get("client")
        manager_url = None
        if me is not None and me.is_admin and client is not None and manager_port is not None:
            manager_url = neighbour_url(client.scheme, client.host, manager_port)
        return {
            "me": me,
            "notice": _NOTICES.get(request.args.get("done", "")),
            "undo": request.args.get("undo") if request.args.get("done") == "deleted" else None,
            "trash_time": trash_time,
            "anonymous": guard.mode,
            "may_read": me is not None and "read" in me.scopes,
            "may_upload": me is not None and "write" in me.scopes,
            # Visitors who hid an image could not see it themselves.
            "may_hide": me is not None and (me.user_id is not None or me.is_admin),
            "visibilities": visibilities,
            "visibility_choices": [(words.value, words.label) for words in visibilities.values()],
            "open_to_all": sorted(scopes_for_everybody(guard.mode)),
            "manager_url": manager_url,
        }
