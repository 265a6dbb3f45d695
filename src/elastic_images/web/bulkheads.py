"""Limits on how many of a web process's threads slow requests may hold, so that some are always free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, g, request

from elastic_images.http.bulkhead import Bulkhead, Shares

MAX_UPLOADS = 32
UPLOADS_OF_A_CLIENT = 4
"""Once half of the places are taken."""
MAX_FORMS = 32
MAX_WAITING = 64
MAX_DRAINS = 8
UPLOADS = frozenset({"rest.put", "course.upload", "upload.upload", "image.replace"})
UNLIMITED = frozenset({"healthz", "readyz", "metrics", "static", "ui.static", "images.read", "course.key"})
"""Endpoints that never wait, or that the data plane limits."""


@dataclass(frozen=True, slots=True)
class Bulkheads:
    """The bulkheads of one process.

    Together they stay well below the number of threads; the rest answers hits and `/healthz`.
    """

    uploads: Bulkhead
    """Images that are being uploaded."""
    upload_shares: Shares
    """And by whom."""
    forms: Bulkhead
    """Other requests with a body."""
    waiting: Bulkhead
    """Requests without a body that wait for storage or the autoscaler."""
    drains: Bulkhead
    """Refused uploads whose remaining bytes are read and discarded."""


def default_bulkheads(
    uploads: int = MAX_UPLOADS, forms: int = MAX_FORMS, waiting: int = MAX_WAITING, drains: int = MAX_DRAINS
) -> Bulkheads:
    """The bulkheads of one process."""
    return Bulkheads(
        uploads=Bulkhead(uploads, "uploads"),
        upload_shares=Shares(uploads, UPLOADS_OF_A_CLIENT, "uploads"),
        forms=Bulkhead(forms, "forms"),
        waiting=Bulkhead(waiting, "requests"),
        drains=Bulkhead(drains, "refused uploads"),
    )


def apply_bulkheads(app: Flask, bulkheads: Bulkheads) -> None:
    """Answer 503 with Retry-After when a bulkhead is full. Call this before registering other hooks."""

    @app.before_request
    def take() -> None:
        if request.endpoint in UNLIMITED:
            return
        has_body = "Transfer-Encoding" in request.headers or request.headers.get("Content-Length", "0") != "0"
        kind = bulkheads.uploads if request.endpoint in UPLOADS else bulkheads.forms
        bulkhead = kind if has_body else bulkheads.waiting
        bulkhead.acquire()
        g.bulkhead = bulkhead

    @app.teardown_request
    def give_back(_error: BaseException | None) -> None:
        bulkhead = g.pop("bulkhead", None)
        if bulkhead is not None:
            bulkhead.release()


def apply_shares(app: Flask, bulkheads: Bulkheads, client: Callable[[], str]) -> None:
    """Answer 503 with Retry-After when a client has its share. Call this when it is known whose the request is.

    The front has bounds by address; this is for users who upload from many.
    """

    @app.before_request
    def join() -> None:
        if g.get("bulkhead") is bulkheads.uploads:
            name = client()
            bulkheads.upload_shares.join(name)
            g.share = name

    @app.teardown_request
    def leave(_error: BaseException | None) -> None:
        name = g.pop("share", None)
        if name is not None:
            bulkheads.upload_shares.leave(name)
