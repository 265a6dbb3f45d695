"""The node's control API on Flask; `plane.NodePlane` serves images in front of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry

from elastic_images.core.errors import Conflict, InvalidRequest
from elastic_images.core.partitions import ALL_PARTITIONS, PARTITIONS
from elastic_images.core.renditions import is_rendition
from elastic_images.http.base_app import base_app
from elastic_images.http.readiness import ReadyGate
from elastic_images.memcache.node import CacheNode
from elastic_images.memcache.plane import NodePlane
from elastic_images.settings import Settings

MAX_KEYS = 10_000


@dataclass(frozen=True)
class NodeServices:
    """What the app of a node needs."""

    node: CacheNode
    plane: NodePlane
    """Serves images in front of Flask."""
    pull_progress: Callable[[], dict[str, Any]]
    """How far the pull that warms this node has come."""
    figures: Callable[[], dict[str, Any]]
    """Counters since the start, and gauges, by name."""
    registry: CollectorRegistry
    started_at: float
    ready: ReadyGate = field(default_factory=ReadyGate)


def create_app(services: NodeServices, settings: Settings, slot: int) -> Flask:
    """The app of the node in `slot`. Starts nothing."""
    cache = services.node.cache
    app = base_app(__name__, internal_token=settings.internal_token, ready=services.ready, registry=services.registry)

    @app.get("/stats")
    def stats() -> ResponseReturnValue:
        return jsonify(
            {
                "slot": slot,
                "incarnation": cache.incarnation,
                "epoch": cache.epoch,
                "started_at": services.started_at,
                **cache.statistics(),
                **services.figures(),
                "pull": services.pull_progress(),
            }
        )

    @app.get("/keys")
    def keys() -> ResponseReturnValue:
        limit, cursor = _number("limit", 1000, 1, MAX_KEYS), _number("cursor", 0, 0, 1 << 62)
        found = cache.entries(_partitions())[cursor : cursor + limit]
        ranks = cache.shared_ranks(rank for _, rank in found)
        more = len(found) == limit
        # Not to nodes of protocol 1: they would keep renditions that they do not find at an invalidation.
        renditions = "renditions" in request.args
        return jsonify(
            {
                "keys": [
                    # Before protocol 3 nodes look for the age, which only LRU has.
                    {"key": entry.key, "size_bytes": entry.size_bytes, "rank": rank, "age_seconds": max(0.0, -rank)}
                    for (entry, _), rank in zip(found, ranks, strict=True)
                    if renditions or not is_rendition(entry.key)
                ],
                "policy": cache.policy,
                "next": cursor + limit if more else None,
            }
        )

    @app.post("/decline")
    def decline() -> ResponseReturnValue:
        body = request.get_json(silent=True)
        if not isinstance(body, dict) or not isinstance(body.get("older_than_seconds"), int | float):
            raise InvalidRequest("older_than_seconds must be a number.")
        cut = body.get("cut", -body["older_than_seconds"])  # before protocol 3
        if not isinstance(cut, int | float):
            raise InvalidRequest("cut must be a number.")
        partitions = body.get("partitions")
        if not isinstance(partitions, list) or not all(isinstance(number, int) for number in partitions):
            raise InvalidRequest("partitions must be a list of numbers.")
        if body.get("incarnation") != cache.incarnation:
            raise Conflict("This is another incarnation.")
        return jsonify({"let_go": services.node.demote_leaving(frozenset(partitions), cut, body.get("policy", "LRU"))})

    # Flask documents this for middleware.
    app.wsgi_app = services.plane.in_front_of(app.wsgi_app)  # type: ignore[method-assign, assignment]
    return app


def _number(name: str, default: int, least: int, most: int) -> int:
    text = request.args.get(name, str(default))
    if not text.isdecimal() or not least <= int(text) <= most:
        raise InvalidRequest(f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def _partitions() -> frozenset[int]:
    text = request.args.get("partitions")
    if text is None:
        return ALL_PARTITIONS
    numbers = text.split(",")
    if not all(number.isdecimal() and int(number) < PARTITIONS for number in numbers):
        raise InvalidRequest(f"partitions must be numbers below {PARTITIONS}, separated by commas.")
    return frozenset(map(int, numbers))
