"""Which pages of other sites may read the API's answers, in browsers (CORS; the Fetch standard).

Those of the origins in `CORS_ORIGINS`, and whoever has an upload link. Cookies never count
(`Access-Control-Allow-Credentials` is not sent): such pages send a token. Images say themselves who may read them.
"""

from __future__ import annotations

from collections.abc import Collection

from flask import Flask, Response, request

from elastic_images.web.uploads_by_link import is_by_link

_METHODS = "GET, HEAD, PUT, POST, PATCH, DELETE"
_HEADERS = "Authorization, Content-Type, If-Match, If-None-Match, X-Visibility"
_SHOWN = "ETag, Location, Retry-After, X-Request-Id"
_REMEMBERED_SECONDS = "7200"
"""How long browsers need not ask again; the most that Chromium takes."""


def install_cors(app: Flask, origins: Collection[str]) -> None:
    """Answer preflights, and name the origin in the API's answers. Call this before the guard is installed."""

    def allowed() -> str | None:
        origin = request.headers.get("Origin")
        if origin is None or not request.path.startswith("/api/"):
            return None
        if "*" in origins or is_by_link(request.headers.get("Access-Control-Request-Method", request.method)):
            return "*"
        return origin if origin in origins else None

    @app.before_request
    def answer_preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers or not allowed():
            return None
        asked = {"Methods": _METHODS, "Headers": _HEADERS}
        answer = Response(status=204, headers={f"Access-Control-Allow-{name}": value for name, value in asked.items()})
        answer.headers["Access-Control-Max-Age"] = _REMEMBERED_SECONDS
        return answer

    @app.after_request
    def name_origin(answer: Response) -> Response:
        origin = allowed()
        if origin is not None:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Expose-Headers"] = _SHOWN
        if request.path.startswith("/api/"):
            answer.vary.add("Origin")
        return answer
