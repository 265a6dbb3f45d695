"""The settings of automatic mode in plain words, and mistakes in typed settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.pool_config import ScalingConfig, check_config, parse_changes
from elastic_images.core.scaling import ScalingMetrics, ScalingState, decide
from elastic_images.manager.setting_labels import LABELS, NAMES
from elastic_images.ui import shown_percent

_BESIDE = MappingProxyType({"max_miss": ScalingConfig(min_miss=0.0), "min_miss": ScalingConfig(max_miss=1.0)})
"""The settings to check one miss rate by itself: with the other one as far away as possible."""
_MANY = 1_000_000


def problems(current: ScalingConfig, typed: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with each typed setting, by the rules of `core.pool_config`. Empty if nothing is.

    Each setting is checked by itself first, so one mistake does not hide another; then all of them together.
    """
    found: dict[str, str] = {}
    sound: dict[str, object] = {}
    for name, value in typed.items():
        if name not in LABELS:
            continue
        try:
            parsed = parse_changes({LABELS[name]: value}, NAMES)
            check_config(_with(_BESIDE.get(name, ScalingConfig()), parsed), NAMES)
            sound |= parsed
        except InvalidRequest as error:
            found[name] = str(error)
    if not found:
        try:
            check_config(_with(current, sound), NAMES)
        except InvalidRequest as error:
            found["min_miss" if "min_miss" in sound else next(iter(sound), "mode")] = str(error)
    return found


def explanation(config: ScalingConfig) -> list[str]:
    """What automatic mode does with these settings, a sentence each. `config` must be valid."""
    if config.mode == "manual":
        first = "Manual mode: the pool keeps the size that you set."
    else:
        first = "Once a minute the autoscaler checks the miss rate of the last minute."
    nodes = config.num_nodes
    would, s = ("", "s") if config.mode == "auto" else ("would ", "")
    least, most = shown_percent(config.min_miss), shown_percent(config.max_miss)
    return [
        first,
        _sentence(f"Above {most} the pool {would}grow{s}", nodes, _size_at(config, _above(config)))
        if config.max_miss < 1
        else "A miss rate is never above 100 %, so the pool never grows by itself.",
        _sentence(f"Below {least} it {would}shrink{s}", nodes, _size_at(config, _below(config)))
        if config.min_miss > 0
        else "A miss rate is never below 0 %, so the pool never shrinks by itself.",
        f"From {least} to {most}, and without requests, it keeps its size.",
    ]


def _with(config: ScalingConfig, changes: Mapping[str, object]) -> ScalingConfig:
    return replace(config, **cast("dict[str, Any]", dict(changes)))


def _size_at(config: ScalingConfig, miss_rate: float) -> int:
    metrics = ScalingMetrics(requests=_MANY, misses=round(miss_rate * _MANY))
    return decide(metrics, replace(config, mode="auto"), ScalingState(config.num_nodes)).nodes_after


def _above(config: ScalingConfig) -> float:
    return (config.max_miss + 1) / 2


def _below(config: ScalingConfig) -> float:
    return config.min_miss / 2


def _sentence(begin: str, nodes: int, after: int) -> str:
    if after == nodes:
        return f"{begin}, but {nodes} {'is the most' if nodes > 1 else 'is the least'} it may have."
    return f"{begin}: from {_nodes(nodes)} to {after}."


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"
