"""What the pages poll, as JSON: health, charts, and validation of typed settings."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, jsonify, request

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.manager.arguments import whole
from elastic_images.manager.charts import MINUTES, figures
from elastic_images.manager.explain import explanation, problems
from elastic_images.manager.health import assess, worst
from elastic_images.manager.overview import Overview
from elastic_images.manager.setting_labels import LABELS

_MAX_MINUTES = 24 * 60


def watch_api(pool: AutoscalerClient, get_overview: Callable[[], Overview], clock: Callable[[], float]) -> Blueprint:
    """The routes. `get_overview` gathers the state of the system."""
    api = Blueprint("watch-api", __name__, url_prefix="/api")

    @api.get("/health")
    def health() -> Response:
        parts = assess(get_overview(), clock())
        return jsonify({"level": worst(parts), "parts": [part.to_json() for part in parts]})

    @api.get("/charts")
    def charts() -> Response:
        return jsonify(figures(pool, whole("minutes", MINUTES, 1, _MAX_MINUTES) or MINUTES).to_json())

    @api.get("/config/check")
    def check() -> Response:
        typed = {name: value.strip() for name, value in request.args.items()}
        unknown = next((name for name in typed if name not in LABELS), None)
        if unknown is not None:
            raise InvalidRequest(f"Unknown setting {unknown[:40]!r}; the settings are {', '.join(LABELS)}.")
        current = ScalingConfig.from_json(pool.config())
        found = problems(current, typed)
        told = [] if found else explanation(current.merge(typed))
        return jsonify({"problems": found, "explanation": told})

    return api
