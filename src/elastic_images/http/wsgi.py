"""Answers of the data planes, which stand in front of Flask."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from elastic_images.core.entry import Headers
from elastic_images.core.errors import ElasticImagesError
from elastic_images.http.internal_client import problem
from elastic_images.http.serving import Answer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def error_answer(error: ElasticImagesError) -> Answer:
    """The problem document (RFC 9457) for an error."""
    body = json.dumps(problem(error)).encode()
    headers: Headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if error.retry_after_seconds is not None:
        headers.append(("Retry-After", str(error.retry_after_seconds)))
    return Answer(f"{error.status} {error.title}", headers, body)


def reads_in_front_of(
    behind: WSGIApplication, respond: Callable[[dict[str, Any]], Answer], is_mine: Callable[[WSGIEnvironment], bool]
) -> WSGIApplication:
    """WSGI that has GET and HEAD answered by `respond` where `is_mine`, and leaves everything else to `behind`."""

    def plane(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD") or not is_mine(environ):
            return behind(environ, start_response)
        status, headers, body = respond(environ)
        start_response(status, headers)
        return [] if method == "HEAD" else [body]

    return plane
