"""The pool, its settings, metrics and records; clearing caches and deleting images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from flask import Blueprint, Response, jsonify, request

from elastic_images.accounts.guard import current_principal
from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import InvalidRequest
from elastic_images.http.json_body import json_object
from elastic_images.manager.arguments import page_of_records, whole
from elastic_images.manager.deletion import Deletion
from elastic_images.settings import Settings
from elastic_images.storage.client import StorageClient

_MAX_MINUTES = 60 * 24 * 30
_MAX_WINDOW_SECONDS = 86_400.0


def pool_api(pool: AutoscalerClient, images: StorageClient, deletion: Deletion, settings: Settings) -> Blueprint:
    """The routes."""
    api = Blueprint("pool-api", __name__, url_prefix="/api")

    shown: dict[str, Callable[[], object]] = {
        "pool": pool.pool,
        "config": pool.config,
        "storage": images.usage,
        "settings": settings.public,
        "deletion": lambda: asdict(deletion.progress),
        "rate": lambda: pool.rate(_window_seconds()),
        "decisions": lambda: {"decisions": pool.decisions(*page_of_records())},
        "resizes": lambda: {"resizes": pool.resizes(*page_of_records())},
        "events": lambda: {"events": pool.events(*page_of_records())},
    }
    for name, ask in shown.items():
        api.add_url_rule(f"/{name}", name, partial(_shown, ask))

    @api.patch("/config")
    def configure() -> Response:
        return jsonify(pool.update_config(json_object()))

    @api.post("/clear")
    def clear() -> Response:
        return jsonify(pool.clear())

    @api.post("/delete_all")
    def delete_all() -> Response:
        return jsonify({"deleted": images.delete_all(actor=current_principal().actor())})

    @api.post("/deletion")
    def begin_deletion() -> tuple[Response, int]:
        return jsonify(asdict(deletion.start(current_principal().actor()))), 202

    @api.get("/metrics")
    def metrics() -> Response:
        name = request.args.get("name", "")
        if not name:
            raise InvalidRequest("name is missing. Give the name of a metric.")
        minutes = whole("minutes", 60, 1, _MAX_MINUTES) or 60
        return jsonify(pool.metrics(name, minutes, request.args.get("source") or None))

    return api


def _shown(ask: Callable[[], object]) -> Response:
    return jsonify(ask())


def _window_seconds() -> float:
    try:
        seconds = float(request.args.get("window_seconds", "60"))
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= _MAX_WINDOW_SECONDS:  # false for nan, too
        raise InvalidRequest(f"window_seconds must be from 1 to {_MAX_WINDOW_SECONDS:g}.")
    return seconds
