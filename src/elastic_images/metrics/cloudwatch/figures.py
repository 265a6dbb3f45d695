"""The figures in CloudWatch, their names there, and how samples become statistic sets. Pure.

Every series costs money, so only what is read is published: by slot, which is a node's number or `web` for all web
processes together; hits and misses also for the whole pool, because an alarm's formula takes few metrics. A set is one
report with a sample count of 1, so the sample count in CloudWatch is the number of processes that reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from elastic_images.core.assignment import MAX_NODES
from elastic_images.metrics.cloudwatch.location import Location
from elastic_images.metrics.sample import Sample

MINUTE_SECONDS = 60
WEB = "web"
"""Slot and source of all web processes."""
SLOTS = (*(str(slot) for slot in range(MAX_NODES)), WEB)
HITS, MISSES, BYPASSES, EVICTIONS, ITEMS, BYTES = "Hits", "Misses", "Bypasses", "Evictions", "Items", "Bytes"
DOCTOR = "Doctor"
"""Published by `doctor` to test its permission. Nothing reads it."""
FIGURES: Mapping[str, str] = {
    HITS: "hits",
    MISSES: "misses",
    BYPASSES: "bypasses",
    EVICTIONS: "evictions",
    ITEMS: "items",
    BYTES: "used_bytes",
}
"""From names in CloudWatch to fields of `Sample`."""
_GAUGES = frozenset({ITEMS, BYTES})
_OF_WEB_ONLY = frozenset({BYPASSES})
_OF_THE_WHOLE_POOL = frozenset({HITS, MISSES})


def slot_of(source: str) -> str | None:
    """The slot that holds a source's figures; None if there is none."""
    kind, _, rest = source.partition("-")
    if kind == "node" and rest in SLOTS[:MAX_NODES]:
        return rest
    return WEB if source == WEB else None


def source_of(slot: str) -> str:
    """A node's id, or `web`."""
    return WEB if slot == WEB else f"node-{slot}"


def minute_of(sample: Sample) -> int:
    """The start of the minute that contains the sample's midpoint: samples may be taken a little early or late."""
    return math.floor((sample.started_at + sample.ended_at) / 2 / MINUTE_SECONDS) * MINUTE_SECONDS


def metric_data(samples: Iterable[Sample], location: Location) -> list[dict[str, Any]]:
    """The `MetricData` for these samples: one report per source and minute."""
    return [datum for report in _reports(samples) for datum in _data(report, location)]


def _reports(samples: Iterable[Sample]) -> Sequence[Sample]:
    """Merge the samples of a source in one minute: sum counts, keep the last gauges."""
    found: dict[tuple[int, str], Sample] = {}
    for sample in sorted(samples, key=lambda sample: sample.ended_at):
        report = (minute_of(sample), sample.source)
        before = found.get(report)
        found[report] = sample if before is None else _with(before, sample)
    return tuple(found.values())


def _with(before: Sample, sample: Sample) -> Sample:
    sums = {
        field: getattr(before, field) + getattr(sample, field) for name, field in FIGURES.items() if name not in _GAUGES
    }
    # Keep the times of the first, so that the minute does not change.
    return replace(sample, started_at=before.started_at, ended_at=before.ended_at, **sums)


def _data(report: Sample, location: Location) -> list[dict[str, Any]]:
    slot = WEB if report.kind == "web" else str(report.slot)
    return [
        datum(name, location.dimensions(of), minute_of(report), getattr(report, field))
        for name, field in FIGURES.items()
        if slot == WEB or name not in _OF_WEB_ONLY  # only web bypasses the pool
        for of in ((slot, None) if name in _OF_THE_WHOLE_POOL else (slot,))
    ]


def datum(name: str, dimensions: list[dict[str, str]], minute: int, value: float) -> dict[str, Any]:
    """One statistic set."""
    return {
        "MetricName": name,
        "Dimensions": dimensions,
        "Timestamp": datetime.fromtimestamp(minute, UTC),
        "Unit": "Bytes" if name == BYTES else "Count",
        "StatisticValues": {"SampleCount": 1, "Sum": value, "Minimum": value, "Maximum": value},
    }
