"""The course API's pool calls."""

from __future__ import annotations

from typing import Any, Literal

from flask import Blueprint, request

from elastic_images.accounts.guard import rule
from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.pool_config import COURSE_NAMES, OWN_NAMES, ScalingConfig, parse_changes
from elastic_images.web.course.answer import success

_RATE_FIELDS: dict[str, Literal["hit_rate", "miss_rate"]] = {"hit": "hit_rate", "miss": "miss_rate"}
_NOBODY_ASKED = -1.0


def add_pool_calls(api: Blueprint, pool: AutoscalerClient) -> None:
    """Register `configure_cache`, `getNumNodes` and `getRate`."""

    @api.post("/api/configure_cache")
    @api.post("/api/configure_cache/")
    @rule("admin")
    def configure_cache() -> dict[str, Any]:
        given = _parameters()
        # Check here first, so that errors use the caller's names.
        config = pool.config()
        present = {name: value for name, value in config.items() if name in OWN_NAMES}
        ScalingConfig.from_json(present).merge(given, COURSE_NAMES)
        if given:
            config = pool.update_config(parse_changes(given, COURSE_NAMES))
        return success(
            mode=config["mode"], numNodes=config["num_nodes"], cacheSize=config["cache_mb"], policy=config["policy"]
        )

    @api.post("/api/getNumNodes")
    @api.post("/api/getNumNodes/")
    @rule("read")
    def get_num_nodes() -> dict[str, Any]:
        return success(numNodes=pool.config()["num_nodes"])

    @api.post("/api/getRate")
    @api.post("/api/getRate/")
    @rule("read")
    def get_rate() -> dict[str, Any]:
        rate = _parameters().get("rate", "")
        if rate not in _RATE_FIELDS:
            raise InvalidRequest("rate must be hit or miss.")
        value = pool.rate()[_RATE_FIELDS[rate]]
        return success(rate=rate, value=_NOBODY_ASKED if value is None else float(value))


def _parameters() -> dict[str, str]:
    """Parameters from query string, form and JSON. Raises InvalidRequest if one is given twice."""
    found = request.values.to_dict(flat=False)
    for name, value in _json_parameters().items():
        found.setdefault(name, []).append(value)
    for name, values in found.items():
        if len(values) > 1:
            raise InvalidRequest(f"{name} is given {len(values)} times.")
    return {name: values[0] for name, values in found.items()}


def _json_parameters() -> dict[str, str]:
    """Parameters in a JSON body: ignoring them would report success without a change."""
    if not request.is_json or not request.get_data(cache=True):
        return {}
    try:
        found = request.get_json(silent=True)
    except RecursionError:
        found = None  # thousands of nested brackets
    if not isinstance(found, dict):
        raise InvalidRequest("A JSON body must be an object with the parameters.")
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidRequest(f"{name[:40]} must be a string or a number.")
    return {name: str(value) for name, value in found.items()}
