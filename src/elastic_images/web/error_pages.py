"""Renders errors as a page, as the course API's JSON, or as a problem document."""

from __future__ import annotations

from flask import Response, make_response, render_template, request

from elastic_images.core.errors import ElasticImagesError
from elastic_images.web.course.api import course_error


def render_error(error: ElasticImagesError) -> Response | None:
    """The response, or None for the default problem document."""
    if request.blueprint == "course":
        return _with_retry(course_error(error), error)
    if request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", ""):
        return None
    retry = request.full_path if request.method == "GET" else None
    page = make_response(render_template("error.html", error=error, retry=retry), error.status)
    return _with_retry(page, error)


def _with_retry(response: Response, error: ElasticImagesError) -> Response:
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response
