"""Every request that Flask answers holds a place while it does, so that some threads stay free for what is quick."""

from __future__ import annotations

from flask import Flask, g, request

from elastic_images.web.bulkheads import Bounds

UNBOUNDED = frozenset({"healthz", "readyz", "metrics", "static", "ui.static", "images.read", "course.key"})
"""Endpoints that need no place: they wait for nobody, or the data plane bounds them."""


def admit_requests(app: Flask, bounds: Bounds) -> None:
    """Make `app` answer 503 with Retry-After where the places are taken. Call it before other hooks are set."""

    @app.before_request
    def take() -> None:
        if request.endpoint in UNBOUNDED:
            return
        has_body = "Transfer-Encoding" in request.headers or request.headers.get("Content-Length", "0") != "0"
        places = bounds.bodies if has_body else bounds.waiting
        places.take()
        g.place = places

    @app.teardown_request
    def give_back(_error: BaseException | None) -> None:
        places = g.pop("place", None)
        if places is not None:
            places.give_back()
