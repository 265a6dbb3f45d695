"""Errors: pages for browsers, problem documents for programs."""

from __future__ import annotations

from flask import Response, make_response, render_template, request

from elastic_images.core.errors import ElasticImagesError


def render_error(error: ElasticImagesError) -> Response | None:
    """The page; None if the client gets the problem document."""
    if request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", ""):
        return None
    response = make_response(render_template("error.html", error=error), error.status)
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response
