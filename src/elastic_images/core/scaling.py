"""When the pool grows and shrinks: a pure function of metrics, settings and the pool's state.

The autoscaler acts on decisions and records them. `decide` first looks for a reason to leave the pool alone; without
one, the policy judges the miss rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from elastic_images.core.assignment import MAX_NODES, MIN_NODES
from elastic_images.core.pool_config import ScalingConfig

Action = Literal["grow", "shrink", "hold"]

WARM_UP_SECONDS = 65.0
"""The cooldown after a resize: a window of 60 s that began after it, and one publishing interval."""


@dataclass(frozen=True, slots=True)
class ScalingMetrics:
    """What all nodes and web processes together counted over a window."""

    requests: float
    misses: float
    missing: tuple[str, ...] = ()
    """Nodes or web processes that should have reported in the window but did not."""
    window_seconds: float = 60.0
    window_age_seconds: float = 0.0
    """How long ago the window ended: metrics may arrive late."""

    @property
    def miss_rate(self) -> float | None:
        """Misses / requests, 0 to 1; None without requests."""
        return self.misses / self.requests if self.requests > 0 else None


@dataclass(frozen=True, slots=True)
class ScalingState:
    """The state of the pool."""

    nodes: int
    """Its wanted size."""
    resizing: bool = False
    seconds_since_resize: float | None = None
    """Since the last resize ended; None before the first."""
    warm_up_seconds: float = WARM_UP_SECONDS


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with the pool, and why. `nodes_after` differs from `nodes_before` unless the action is `hold`."""

    action: Action
    nodes_before: int
    nodes_after: int
    reason: str
    """One English sentence, for the record."""
    inputs: dict[str, Any]
    """Everything the decision is based on, as JSON values (nan and inf as texts)."""
    policy: str


@dataclass(frozen=True, slots=True)
class _Target:
    """The size that a policy wants, before it is limited to 1..8 nodes; None to leave the pool as it is."""

    nodes: int | None
    reason: str


def decide(metrics: ScalingMetrics, config: ScalingConfig, state: ScalingState) -> Decision:
    """What the `threshold` policy does with the pool now. Never raises on a number, nan, inf and overflow included.

    Holds in manual mode, during a resize and the cooldown after it, if a node's data is missing or numbers make no
    sense, and without requests. Otherwise: above `max_miss` the pool grows by `expand_ratio` (rounded up), below
    `min_miss` it shrinks by `shrink_ratio` (rounded down), by at least one node, within 1 to 8.
    """
    reason = _reason_to_hold(metrics, config, state)
    rate = None if reason else metrics.miss_rate
    if rate is None:
        target = _Target(None, reason or "There were no requests in the last minute.")
    else:
        target = _threshold(rate, config, state.nodes)
    return _decision(target, state.nodes, _inputs(metrics, config, state), "threshold")


def _threshold(rate: float, config: ScalingConfig, nodes: int) -> _Target:
    least, most = _percent(config.min_miss), _percent(config.max_miss)
    if rate > config.max_miss:
        # Bounded before rounding, because the ratio may be too large for an integer.
        wanted = math.ceil(min(nodes * config.expand_ratio, MAX_NODES + 1))
        return _Target(max(wanted, nodes + 1), f"Miss rate {_percent(rate)} is above the maximum of {most}")
    if rate < config.min_miss:
        wanted = math.floor(nodes * config.shrink_ratio)
        return _Target(min(wanted, nodes - 1), f"Miss rate {_percent(rate)} is below the minimum of {least}")
    return _Target(None, f"Miss rate {_percent(rate)} is between {least} and {most}.")


def _decision(target: _Target, nodes: int, inputs: dict[str, Any], policy: str) -> Decision:
    if target.nodes is None:
        return Decision("hold", nodes, nodes, target.reason, inputs, policy)
    after = min(max(target.nodes, MIN_NODES), MAX_NODES)
    if after == nodes:
        bound = "maximum" if target.nodes > nodes else "minimum"
        reason = f"{target.reason}, but the pool is already at its {bound} of {nodes} node{'s' * (nodes != 1)}."
        return Decision("hold", nodes, nodes, reason, inputs, policy)
    action: Action = "grow" if after > nodes else "shrink"
    return Decision(action, nodes, after, f"{target.reason}: from {nodes} to {after} nodes.", inputs, policy)


def _reason_to_hold(metrics: ScalingMetrics, config: ScalingConfig, state: ScalingState) -> str | None:
    """Why no policy is consulted, or None."""
    since = state.seconds_since_resize
    if config.mode != "auto":
        return "The mode is manual: the size is set by hand."
    if state.resizing:
        return "A resize is under way."
    if not _sensible(config, state):
        return "The scaling settings make no sense: a number in them is out of its range."
    if since is not None and since < state.warm_up_seconds:
        return f"Cooldown: the last resize ended {since:.0f} s ago, less than {state.warm_up_seconds:.0f} s."
    if metrics.missing:
        return f"No data in the last minute from {', '.join(metrics.missing)}."
    if not (_finite(metrics.requests, metrics.misses) and 0 <= metrics.misses <= metrics.requests):
        return "The counts of the last minute make no sense."
    return None


def _sensible(config: ScalingConfig, state: ScalingState) -> bool:
    since = 0.0 if state.seconds_since_resize is None else state.seconds_since_resize
    numbers = (config.expand_ratio, config.shrink_ratio, config.max_miss, config.min_miss, since, state.warm_up_seconds)
    return (
        _finite(*numbers)
        and MIN_NODES <= state.nodes <= MAX_NODES
        and config.expand_ratio > 1
        and 0 < config.shrink_ratio < 1
        and 0 <= config.min_miss < config.max_miss <= 1
    )


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _finite(*numbers: float) -> bool:
    return all(abs(number) < math.inf for number in numbers)


def _inputs(metrics: ScalingMetrics, config: ScalingConfig, state: ScalingState) -> dict[str, Any]:
    numbers: dict[str, float | None] = {
        "requests": metrics.requests,
        "misses": metrics.misses,
        "miss_rate": metrics.miss_rate,
        "window_seconds": metrics.window_seconds,
        "window_age_seconds": metrics.window_age_seconds,
        "nodes": state.nodes,
        "seconds_since_resize": state.seconds_since_resize,
        "warm_up_seconds": state.warm_up_seconds,
        "expand_ratio": config.expand_ratio,
        "shrink_ratio": config.shrink_ratio,
        "max_miss": config.max_miss,
        "min_miss": config.min_miss,
    }
    plain = {name: value if value is None or _finite(value) else str(value) for name, value in numbers.items()}
    return {**plain, "mode": config.mode, "resizing": state.resizing, "missing": list(metrics.missing)}
