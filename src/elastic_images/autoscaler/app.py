"""The autoscaler's routes (docs/internal-api.md)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry

from elastic_images.autoscaler.config_store import ConfigStore
from elastic_images.autoscaler.journal import Journal
from elastic_images.autoscaler.nodes.stats import NodeStats
from elastic_images.autoscaler.resizer import ResizerStatus
from elastic_images.autoscaler.scaling.decisions import DecisionLog
from elastic_images.autoscaler.status import newest_members, pool_document
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.core.pool_document import ClearedDocument, ConfigDocument
from elastic_images.http.base_app import base_app
from elastic_images.http.readiness import ReadyGate
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.sample import batch_from_json
from elastic_images.metrics.store import MetricStore
from elastic_images.pool.member_routes import pool_blueprint
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import LIVE
from elastic_images.settings import Settings

_DEFAULT_LIMIT = 50
_LARGEST_NUMBER = 2**31 - 1


@dataclass(frozen=True)
class AutoscalerServices:
    """What the autoscaler's app works with."""

    store: PoolStore
    config_store: ConfigStore
    journal: Journal
    decisions: DecisionLog
    metrics: MetricStore
    stats: NodeStats
    status: Callable[[], ResizerStatus]
    clear: Callable[[], ClearedDocument]
    counters: Counters
    registry: CollectorRegistry
    ready: ReadyGate
    clock: Callable[[], float] = time.time


def create_app(services: AutoscalerServices, settings: Settings) -> Flask:
    """The app. Starts nothing."""
    app = base_app(__name__, internal_token=settings.internal_token, ready=services.ready, registry=services.registry)
    app.register_blueprint(pool_blueprint(services.store))
    _add_pool(app, services)
    _add_records(app, services)
    _add_metrics(app, services)
    return app


def _add_pool(app: Flask, services: AutoscalerServices) -> None:
    @app.get("/internal/pool")
    def pool() -> ResponseReturnValue:
        view = services.store.read()
        nodes = [member for member in newest_members(view).values() if member.state == LIVE]
        return jsonify(
            pool_document(
                view,
                services.config_store.of(view.config),
                services.status(),
                services.journal.under_way(),
                services.stats.of(nodes),
            )
        )

    @app.get("/internal/config")
    def config() -> ResponseReturnValue:
        return jsonify(_shown(services.config_store.current()))

    @app.patch("/internal/config")
    def update_config() -> ResponseReturnValue:
        changes = request.get_json(silent=True)
        if not isinstance(changes, dict):
            raise InvalidRequest("The body must be a JSON object.")
        return jsonify(_shown(services.config_store.update(changes)))

    @app.post("/internal/clear")
    def clear() -> ResponseReturnValue:
        return jsonify(services.clear())


def _add_records(app: Flask, services: AutoscalerServices) -> None:
    @app.get("/internal/decisions")
    def decisions() -> ResponseReturnValue:
        return jsonify({"decisions": services.decisions.list(*_page())})

    @app.get("/internal/resizes")
    def resizes() -> ResponseReturnValue:
        return jsonify({"resizes": services.journal.resizes(*_page())})

    @app.get("/internal/events")
    def events() -> ResponseReturnValue:
        return jsonify({"events": services.journal.events(*_page())})


def _add_metrics(app: Flask, services: AutoscalerServices) -> None:
    received = services.counters.counter("samples_received")

    @app.post("/internal/metrics")
    def publish() -> ResponseReturnValue:
        samples = batch_from_json(request.get_json(silent=True))
        services.metrics.publish(samples)
        received.add(len(samples))
        return jsonify({"received": len(samples)})

    @app.get("/internal/metrics")
    def series() -> ResponseReturnValue:
        name, source = request.args.get("name", ""), request.args.get("source")
        return jsonify(services.metrics.series(name, _whole("minutes", 60) or 0, services.clock(), source).to_json())

    @app.get("/internal/rate")
    def rate() -> ResponseReturnValue:
        return jsonify(services.metrics.rate(_seconds("window_seconds", 60.0), services.clock()).to_json())


def _page() -> tuple[int, int | None]:
    return _whole("limit", _DEFAULT_LIMIT) or 1, _whole("before", None)


def _whole(name: str, default: int | None) -> int | None:
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or int(text[:20]) > _LARGEST_NUMBER:
        raise InvalidRequest(f"{name} must be a whole number.")
    return int(text)


def _seconds(name: str, default: float) -> float:
    try:
        value = float(request.args.get(name, default))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidRequest(f"{name} must be a number of seconds.")
    return value


def _shown(config: ScalingConfig) -> ConfigDocument:
    """The settings as JSON. A number that is not finite, put into the database by hand, becomes null."""
    values = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in config.to_json().items()
    }
    return cast("ConfigDocument", values)
