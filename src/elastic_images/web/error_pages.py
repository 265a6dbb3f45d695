"""Renders errors as a page, as the course API's JSON, or as a problem document."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

from flask import Response, g, make_response, render_template, request

from elastic_images.accounts.guard import Guard
from elastic_images.accounts.principal import ANONYMOUS
from elastic_images.core.errors import ElasticImagesError
from elastic_images.web.course.api import course_error
from elastic_images.web.navigations import wants_page


class Words(NamedTuple):
    """What a page says of an error, beside the error's own words."""

    title: str
    icon: str
    advice: str = ""


_BY_SLUG = {
    "unauthenticated": Words("Log in to continue", "lock"),
    "forbidden": Words("You can’t do this", "lock"),
    "cross-site": Words("This request came from another site", "lock"),
    "rendition-not-allowed": Words("This size is not available", "image-off"),
    "signature-expired": Words("This link has expired", "hourglass"),
    "signature-invalid": Words("This link doesn’t work", "link"),
    "precondition-failed": Words("This has changed meanwhile", "history"),
    "too-many-requests": Words("Too many attempts", "hourglass"),
    "unavailable": Words("Not available right now", "hourglass", "This usually resolves within a few seconds."),
}
_NO_IMAGE = Words("Image not found", "image-off", "It may have been deleted or renamed.")
_NO_IMAGE_FOR_VISITORS = _NO_IMAGE._replace(advice="It may have been deleted or renamed, or be open to members only.")
_NEEDS_CALLER = frozenset({401, 403, 404})
"""What is offered on these pages depends on who asks."""
_NO_PAGE = Words("Page not found", "search")


def error_pages(guard: Guard) -> Callable[[ElasticImagesError], Response | None]:
    """Gives the response to an error, or None for the default problem document."""

    def render_error(error: ElasticImagesError) -> Response | None:
        if request.blueprint == "course":
            return _with_retry(course_error(error), error)
        if request.path.startswith("/api/") or not wants_page(request.environ):
            return None
        if error.status in _NEEDS_CALLER and g.principal.is_anonymous:
            guard.recognise()
        is_visitor = g.get("principal", ANONYMOUS).is_anonymous
        here = quote(request.path) + (f"?{request.query_string.decode('latin-1')}" if request.query_string else "")
        page = render_template(
            "error.html",
            error=error,
            words=_words(error, is_visitor=is_visitor),
            is_visitor=is_visitor,
            here=here if request.method == "GET" else None,
        )
        response = make_response(page, error.status)
        # Somebody who logs in now must not be shown this page again.
        response.headers["Cache-Control"] = "no-store"
        return _with_retry(response, error)

    return render_error


def _words(error: ElasticImagesError, *, is_visitor: bool) -> Words:
    if error.slug == "not-found":
        is_image = request.path.startswith(("/images/", "/view/", "/delete/", "/replace/"))
        return (_NO_IMAGE_FOR_VISITORS if is_visitor else _NO_IMAGE) if is_image else _NO_PAGE
    return _BY_SLUG.get(error.slug) or Words(error.title, "triangle-alert")


def _with_retry(response: Response, error: ElasticImagesError) -> Response:
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response
