"""WSGI middleware that answers reads before Flask sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from elastic_images.http.answer import Answer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def reads_in_front_of(
    app: WSGIApplication, respond: Callable[[dict[str, Any]], Answer | None], is_read: Callable[[WSGIEnvironment], bool]
) -> WSGIApplication:
    """WSGI that answers GET and HEAD requests by `respond` if `is_read` says so.

    All others, and those for which it gives None, are left to `app`.
    """

    def answer_reads(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD") or not is_read(environ):
            return app(environ, start_response)
        answer = respond(environ)
        if answer is None:
            return app(environ, start_response)
        status, headers, body = answer
        start_response(status, headers)
        return [] if method == "HEAD" else [body]

    return answer_reads
