"""The pool, its settings, metrics and records; clearing caches and deleting images."""

from __future__ import annotations

import math

from flask import Blueprint, Response, jsonify, request

from elastic_images.accounts.guard import current_principal, rule
from elastic_images.core.errors import InvalidRequest
from elastic_images.http.json_body import json_object
from elastic_images.manager.arguments import page_of_records, whole
from elastic_images.manager.deletion import Deletion
from elastic_images.manager.services import ImageStore, PoolControl
from elastic_images.settings import Settings

_MAX_MINUTES = 60 * 24 * 30
_MAX_WINDOW_SECONDS = 86_400.0


def pool_api(pool: PoolControl, images: ImageStore, deletion: Deletion, settings: Settings) -> Blueprint:
    """The routes."""
    api = Blueprint("pool-api", __name__, url_prefix="/api")

    @api.get("/pool")
    @rule("admin")
    def status() -> Response:
        return jsonify(pool.pool())

    @api.get("/config")
    @rule("admin")
    def config() -> Response:
        return jsonify(pool.config())

    @api.patch("/config")
    @rule("admin")
    def configure() -> Response:
        return jsonify(pool.update_config(json_object()))

    @api.post("/clear")
    @rule("admin")
    def clear() -> Response:
        return jsonify(pool.clear())

    @api.get("/storage")
    @rule("admin")
    def usage() -> Response:
        return jsonify(images.usage())

    @api.post("/delete_all")
    @rule("admin")
    def delete_all() -> Response:
        return jsonify({"deleted": images.delete_all(actor=current_principal().actor())})

    @api.get("/deletion")
    @rule("admin")
    def deletion_progress() -> Response:
        return jsonify(deletion.progress.to_json())

    @api.post("/deletion")
    @rule("admin")
    def begin_deletion() -> tuple[Response, int]:
        return jsonify(deletion.start(current_principal().actor()).to_json()), 202

    @api.get("/settings")
    @rule("admin")
    def shown_settings() -> Response:
        return jsonify(settings.public())

    _figures(api, pool)
    return api


def _figures(api: Blueprint, pool: PoolControl) -> None:
    @api.get("/metrics")
    @rule("admin")
    def metrics() -> Response:
        name = request.args.get("name", "")
        if not name:
            raise InvalidRequest("name is missing. Give the name of a metric.")
        minutes = whole("minutes", 60, 1, _MAX_MINUTES) or 60
        return jsonify(pool.metrics(name, minutes, request.args.get("source") or None))

    @api.get("/rate")
    @rule("admin")
    def rate() -> Response:
        return jsonify(pool.rate(_window_seconds()))

    @api.get("/decisions")
    @rule("admin")
    def decisions() -> Response:
        return jsonify({"decisions": pool.decisions(*page_of_records())})

    @api.get("/resizes")
    @rule("admin")
    def resizes() -> Response:
        return jsonify({"resizes": pool.resizes(*page_of_records())})

    @api.get("/events")
    @rule("admin")
    def events() -> Response:
        return jsonify({"events": pool.events(*page_of_records())})


def _window_seconds() -> float:
    try:
        seconds = float(request.args.get("window_seconds", "60"))
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= _MAX_WINDOW_SECONDS:  # false for nan, too
        raise InvalidRequest(f"window_seconds must be from 1 to {_MAX_WINDOW_SECONDS:g}.")
    return seconds
