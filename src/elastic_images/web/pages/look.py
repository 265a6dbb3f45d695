"""What every page has: filters, the notice of what was just done, and headers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, request
from markupsafe import Markup

from elastic_images.core.keys import quote_key

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_NOTICES = {
    "stored": "The image is stored.",
    "replaced": "The image was replaced.",
    "deleted": "The image was deleted.",
    "uploaded": "All images are stored.",
    "password": "Your password was changed, and your other sessions have ended.",
    "revoked": "The token was revoked.",
    "ended": "The session has ended.",
}
_UNIT = 1000


def dress(app: Flask) -> None:
    """Give `app` the filters and variables that the templates use, and pages their headers."""
    app.jinja_env.filters.update(quote_key=quote_key, size=shown_size, when=shown_time)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.context_processor
    def variables() -> dict[str, Any]:
        # No principal: the request was refused before anybody looked at who asks.
        return {"me": g.get("principal"), "notice": _NOTICES.get(request.args.get("done", ""))}

    @app.after_request
    def protect(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response


def shown_size(size_bytes: int) -> str:
    """A number of bytes as people read it: `987 bytes`, `48.2 KB`, `3.1 MB`."""
    if size_bytes < _UNIT:
        return f"{size_bytes} bytes"
    if size_bytes < _UNIT**2:
        return f"{size_bytes / _UNIT:.1f} KB"
    return f"{size_bytes / _UNIT**2:.1f} MB"


def shown_time(seconds: float | None) -> Markup:
    """Seconds since the epoch as an HTML `time`, in UTC; a dash for none."""
    if seconds is None:
        return Markup("–")
    moment = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        moment.isoformat(timespec="seconds"), moment.strftime("%Y-%m-%d %H:%M")
    )
