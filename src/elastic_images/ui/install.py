"""Installs the shared front end: `/assets/...`, templates `ui/*.html`, filters, and security headers."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Flask, Response, abort, request

from elastic_images.http.public_path import public_path, root
from elastic_images.ui.assets import Assets
from elastic_images.ui.values import shown_browser, shown_count, shown_duration, shown_percent, shown_size, shown_time

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_ROOM = Path(__file__).parent
_FOREVER = "public, max-age=31536000, immutable"


def install(app: Flask, **folders: Path) -> None:
    """Serve the shared files as `asset("ui/...")`, and those of `folders` as `asset("<name>/...")`.

    The endpoint is `ui.static`, which `accounts.guard` treats as public. Templates get `asset()`, `root()` and the
    filters `size`, `when`, `percent`, `count`, `duration` and `browser`. HTML responses without a
    Content-Security-Policy get ours.

    Raises:
        OSError: a file cannot be read.
    """
    assets = Assets({"ui": _ROOM / "static", **folders})
    app.register_blueprint(_blueprint(assets))
    app.jinja_env.globals.update(asset=lambda name: public_path(assets.address(name)), root=root)
    app.jinja_env.filters.update(
        size=shown_size,
        when=shown_time,
        percent=shown_percent,
        count=shown_count,
        duration=shown_duration,
        browser=shown_browser,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.after_request
    def protect(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response


def _blueprint(assets: Assets) -> Blueprint:
    blueprint = Blueprint("ui", __name__, template_folder="templates")

    def static(digest: str, name: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            abort(404)
        packed = asset.gzipped is not None and "gzip" in request.headers.get("Accept-Encoding", "")
        response = Response(asset.gzipped if packed else asset.content, content_type=asset.content_type)
        if packed:
            response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
        # During an upgrade, another version's page may ask: serve our file, but do not cache it under that URL.
        response.headers["Cache-Control"] = _FOREVER if digest == assets.digest else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    blueprint.add_url_rule("/assets/<digest>/<path:name>", "static", static)
    return blueprint
