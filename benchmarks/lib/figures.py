"""From single measurements to figures: medians over the rounds, ratios within a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from benchmarks.lib.wrk import Load


class Cost(NamedTuple):
    """What the machine spent on a measurement, in seconds of processor time."""

    server_seconds: float
    """By the target's processes."""
    client_seconds: float
    """By the load generator."""
    others_share: float
    """By everything else, as a share of all cores: above 0.1 the measurement was disturbed."""


class Measurement(NamedTuple):
    """One target in one round."""

    load: Load
    cost: Cost

    @property
    def server_microseconds(self) -> float:
        """Processor time per answer; other load disturbs it less than the rate."""
        return self.cost.server_seconds / self.load.requests * 1e6 if self.load.requests else 0.0


Rounds = Mapping[str, Sequence[Measurement]]
"""The measurements by target, one for each round."""


def median_rate(measured: Sequence[Measurement]) -> float:
    """The median of the answers per second."""
    return median(one.load.requests_per_second for one in measured)


def median_p99_ms(measured: Sequence[Measurement]) -> float:
    """The median of the rounds' 99th percentiles."""
    return median(one.load.p99_ms for one in measured)


def ratio(rounds: Rounds, over: str, under: str) -> float | None:
    """How many times as many answers `over` gave as `under`: the median of each round's ratio.

    A round's targets are measured one right after the other, so what disturbs the machine disturbs both. None where
    one of the two was not measured, or gave nothing.
    """
    if over not in rounds or under not in rounds:
        return None
    pairs = zip(rounds[over], rounds[under], strict=True)
    ratios = [
        first.load.requests_per_second / second.load.requests_per_second
        for first, second in pairs
        if second.load.requests_per_second > 0
    ]
    return median(ratios) if ratios else None


def target_json(measured: Sequence[Measurement]) -> dict[str, Any]:
    """A target's figures as JSON values: medians, and every round's rate."""
    return {
        "requests_per_second": round(median_rate(measured), 1),
        "p50_ms": round(median(one.load.p50_ms for one in measured), 3),
        "p99_ms": round(median_p99_ms(measured), 3),
        "server_microseconds": round(median(one.server_microseconds for one in measured), 1),
        "others_share": round(median(one.cost.others_share for one in measured), 3),
        "errors": sum(one.load.errors for one in measured),
        "rounds": [round(one.load.requests_per_second, 1) for one in measured],
    }
