"""Which requests are a browser's navigation: their errors are shown as pages, all others' are problem documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

_OFFERED = ("application/problem+json", "application/json", "text/html")


def wants_page(environ: Mapping[str, Any]) -> bool:
    """Whether somebody will look at the answer to this WSGI request: not a script, and no `<img>`."""
    # Browsers send it (for https and localhost); a page's script or image has another value.
    if environ.get("HTTP_SEC_FETCH_DEST", "document") != "document":
        return False
    accepted = str(environ.get("HTTP_ACCEPT", ""))
    return "text/html" in accepted and parse_accept_header(accepted, MIMEAccept).best_match(_OFFERED) == "text/html"
