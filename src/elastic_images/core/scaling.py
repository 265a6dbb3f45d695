"""When the pool grows and shrinks: a pure function of what was measured, what is wanted, and how the pool stands.

Acting on a decision, and keeping it with its inputs, is the autoscaler's work. `decide` first looks for a reason to
leave the pool alone; only where there is none does the policy judge the miss rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from elastic_images.core.assignment import MAX_NODES, MIN_NODES
from elastic_images.core.pool_config import ScalingConfig

Action = Literal["grow", "shrink", "hold"]

WARM_UP_SECONDS = 65.0
"""How long a resized pool is left alone: a window of 60 s that began after the resize, and one publishing interval."""


@dataclass(frozen=True, slots=True)
class ScalingMetrics:
    """What was counted over a window, by all nodes and web processes together."""

    requests: float
    misses: float
    missing: tuple[str, ...] = ()
    """Nodes, or web processes, that should have reported in the window and did not."""
    window_seconds: float = 60.0
    window_age_seconds: float = 0.0
    """How long ago the window ended: figures may come late."""

    @property
    def miss_rate(self) -> float | None:
        """Misses / requests, 0 to 1; None without requests."""
        return self.misses / self.requests if self.requests > 0 else None


@dataclass(frozen=True, slots=True)
class ScalingState:
    """How the pool stands."""

    nodes: int
    """Its wanted size: what the last resize made or makes of it."""
    resizing: bool = False
    seconds_since_resize: float | None = None
    """Since the last resize ended; None where there was none."""
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
    """Everything the decision was taken on, as JSON values (nan and inf as texts)."""
    policy: str


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A policy's answer, before it is held to 1..8 nodes: a size it wants, or None to leave the pool as it is."""

    nodes: int | None
    reason: str


def decide(metrics: ScalingMetrics, config: ScalingConfig, state: ScalingState) -> Decision:
    """What the `threshold` policy does with the pool now. Never raises on a number, nan, inf and overflow included.

    Holds in manual mode, during a resize, while the pool warms up, where a node's data is missing or numbers make no
    sense, and without requests. Else: above `max_miss` the pool grows by `expand_ratio` (rounded up), below `min_miss`
    it shrinks by `shrink_ratio` (rounded down), by one node at least, within 1 to 8.
    """
    reason = _reason_to_hold(metrics, config, state)
    rate = None if reason else metrics.miss_rate
    if rate is None:
        verdict = _Verdict(None, reason or "There were no requests in the last minute.")
    else:
        verdict = _threshold(rate, config, state.nodes)
    return _decision(verdict, state.nodes, _inputs(metrics, config, state), "threshold")


def _threshold(rate: float, config: ScalingConfig, nodes: int) -> _Verdict:
    if rate > config.max_miss:
        # Bounded before rounding: a ratio may be too large for an integer.
        wanted = math.ceil(min(nodes * config.expand_ratio, MAX_NODES + 1))
        return _Verdict(max(wanted, nodes + 1), f"Miss rate {rate:.3f} is above the maximum of {config.max_miss:g}")
    if rate < config.min_miss:
        wanted = math.floor(nodes * config.shrink_ratio)
        return _Verdict(min(wanted, nodes - 1), f"Miss rate {rate:.3f} is below the minimum of {config.min_miss:g}")
    return _Verdict(None, f"Miss rate {rate:.3f} is between {config.min_miss:g} and {config.max_miss:g}.")


def _decision(verdict: _Verdict, nodes: int, inputs: dict[str, Any], policy: str) -> Decision:
    if verdict.nodes is None:
        return Decision("hold", nodes, nodes, verdict.reason, inputs, policy)
    after = min(max(verdict.nodes, MIN_NODES), MAX_NODES)
    if after == nodes:
        bound = "most" if verdict.nodes > nodes else "fewest"
        reason = f"{verdict.reason}, and the pool has the {bound} nodes it may have, {nodes}."
        return Decision("hold", nodes, nodes, reason, inputs, policy)
    action: Action = "grow" if after > nodes else "shrink"
    return Decision(action, nodes, after, f"{verdict.reason}: from {nodes} to {after} nodes.", inputs, policy)


def _reason_to_hold(metrics: ScalingMetrics, config: ScalingConfig, state: ScalingState) -> str | None:
    """Why no policy is asked, or None."""
    since = state.seconds_since_resize
    if config.mode != "auto":
        return "The mode is manual: the size is set by hand."
    if state.resizing:
        return "A resize is under way."
    if not _sensible(config, state):
        return "The scaling settings make no sense: a number in them is out of its range."
    if since is not None and since < state.warm_up_seconds:
        return f"The pool warms up: its last resize ended {since:.0f} s ago, less than {state.warm_up_seconds:.0f} s."
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
