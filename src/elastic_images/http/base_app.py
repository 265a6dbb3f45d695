"""What every Flask app of ours has: problem documents, request ids, health, metrics, the internal token."""

from __future__ import annotations

import hmac
import re
import uuid
from collections.abc import Callable

from flask import Flask, Response, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from werkzeug.exceptions import HTTPException

from elastic_images.core.errors import (
    ElasticImagesError,
    InvalidRequest,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from elastic_images.core.protocol import PROTOCOL_HEADER, check_protocol
from elastic_images.http.bulkhead import Bulkhead
from elastic_images.http.drain import DrainBodies
from elastic_images.http.problems import is_database_error, problem_response, public_error
from elastic_images.http.readiness import ReadyGate

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DRAINS = 8
_DRAIN_BYTES = 1_000_000
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Answered without a token: they reveal no secrets."""


def base_app(
    name: str,
    *,
    internal_token: str | None = None,
    ready: ReadyGate | None = None,
    registry: CollectorRegistry | None = None,
    render_error: Callable[[ElasticImagesError], Response | None] = lambda _error: None,
    drains: Bulkhead | None = None,
    drain_bytes: int = _DRAIN_BYTES,
    on_database_failure: Callable[[], object] = lambda: None,
) -> Flask:
    """A Flask app to put routes on.

    Args:
        name: the import name of the package that holds the templates and static files.
        internal_token: if given, required on every path but health and metrics.
        ready: what `/readyz` shows; without it, the app is always ready.
        registry: the metrics that `/metrics` shows.
        render_error: returns another answer to an error, such as a page, or None for the problem document.
        drains: how many bodies may be drained at a time, after answers sent before their end.
        drain_bytes: the largest body that is drained; larger ones are cut off.
        on_database_failure: called for each request that failed because the database did not answer.
    """
    app, gate = Flask(name), ready or ReadyGate()
    app.wsgi_app = DrainBodies(  # type: ignore[method-assign]  # Flask's documented place for middleware
        app.wsgi_app, drains or Bulkhead(_DRAINS, "refused bodies"), drain_bytes
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it; facts keep their order
    _identify_requests(app)
    _answer_errors(app, render_error, on_database_failure)
    if internal_token is not None:
        _require_token(app, internal_token)

    @app.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @app.get("/readyz")
    def readyz() -> Response:
        is_ready, found = gate.judge(request.args.get("require"))
        response = jsonify(found.to_json())
        response.headers["Cache-Control"] = "no-store"
        if not is_ready:
            response.status_code, response.headers["Retry-After"] = 503, "1"
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry or CollectorRegistry()), content_type=CONTENT_TYPE_LATEST)

    return app


def _identify_requests(app: Flask) -> None:
    @app.before_request
    def identify() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex

    @app.after_request
    def name(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "")
        return response


def _answer_errors(
    app: Flask,
    render_error: Callable[[ElasticImagesError], Response | None],
    on_database_failure: Callable[[], object],
) -> None:
    def answer(error: ElasticImagesError) -> Response:
        return render_error(error) or problem_response(error, g.get("request_id", ""))

    @app.errorhandler(ElasticImagesError)
    def ours(error: ElasticImagesError) -> Response:
        return answer(error)

    @app.errorhandler(HTTPException)
    def routing(error: HTTPException) -> Response:
        response = answer(_from_http_exception(error))
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        if is_database_error(error):
            on_database_failure()
        return answer(public_error(error, g.get("request_id", "")))


def _require_token(app: Flask, token: str) -> None:
    expected = f"Bearer {token}".encode()

    @app.before_request
    def check() -> None:
        if request.path in OPEN_PATHS:
            return
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected):
            raise Unauthenticated("This is an internal service; it needs the internal token.")
        check_protocol(request.headers.get(PROTOCOL_HEADER))


class _OtherHttpError(ElasticImagesError):
    def __init__(self, error: HTTPException) -> None:
        super().__init__(error.description or error.name)
        self.status = error.code or 500  # type: ignore[misc]
        self.slug = error.name.lower().replace(" ", "-")  # type: ignore[misc]
        self.title = error.name  # type: ignore[misc]


def _from_http_exception(error: HTTPException) -> ElasticImagesError:
    kinds = {400: InvalidRequest, 404: NotFound, 413: TooLarge}
    kind = kinds.get(error.code or 500)
    if kind is NotFound:
        return NotFound(f"There is nothing at {request.path}.")
    return kind(error.description or error.name) if kind else _OtherHttpError(error)
