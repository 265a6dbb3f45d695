"""What every page has: filters, the notice of what was just done, and headers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, request
from markupsafe import Markup

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_NOTICES = {
    "configured": "The pool's settings were changed.",
    "sized": "The wish for another size was taken; the resize follows.",
    "cleared": "All caches were emptied.",
    "deleted": "All images were deleted.",
    "changed": "The user was changed.",
    "thrown-out": "All sessions of the user have ended, and all tokens were revoked.",
    "ended": "The session has ended.",
    "revoked": "The token was revoked.",
}
_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")
_UNIT = 1000


def dress(app: Flask) -> None:
    """Give `app` the filters and variables that the templates use, and pages their headers."""
    app.jinja_env.filters.update(size=shown_size, when=shown_time, percent=shown_percent, joined=joined)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.context_processor
    def variables() -> dict[str, Any]:
        return {"me": g.get("principal"), "notice": _NOTICES.get(request.args.get("done", ""))}

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response


def shown_size(size_bytes: float | None) -> str:
    """A number of bytes as people read it: `987 bytes`, `48.2 KB`, `3.1 MB`; a dash for none."""
    if size_bytes is None:
        return "–"
    size, unit = float(size_bytes), 0
    while size >= _UNIT and unit < len(_UNITS) - 1:
        size, unit = size / _UNIT, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} bytes"


def shown_time(seconds: float | None) -> Markup:
    """Seconds since the epoch as an HTML `time`, in UTC; a dash for none."""
    if seconds is None:
        return Markup("–")
    moment = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        moment.isoformat(timespec="seconds"), moment.strftime("%Y-%m-%d %H:%M:%S")
    )


def shown_percent(rate: float | None) -> str:
    """A rate of 0 to 1 in percent; a dash for none."""
    return "–" if rate is None else f"{100 * rate:.1f} %"


def joined(value: Any) -> str:
    """A list with commas between, anything else as its text, nothing as a dash."""
    if value is None or value in ("", []):
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
