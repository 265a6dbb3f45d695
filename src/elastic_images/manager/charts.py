"""The charts' series: the last minutes in steps of one, and what happened meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.events import EventRecord
from elastic_images.core.pool_document import ResizeRecord, SeriesDocument
from elastic_images.manager.event_log import shown_events

CHARTS = (
    ("nodes", "Nodes"),
    ("requests", "Requests a minute"),
    ("hit_rate", "Hit rate"),
    ("miss_rate", "Miss rate"),
    ("items", "Images in all caches"),
    ("bytes", "Bytes in all caches"),
)
"""Each chart's metric (`metrics.store.SERIES_NAMES`) and its title."""
MINUTES = 30
_EVENTS = 200
_RESIZES = 50


@dataclass(frozen=True, slots=True)
class Mark:
    """Something marked on the charts."""

    at: float
    kind: str
    """`resize` or `fault`."""
    words: str

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"at": self.at, "kind": self.kind, "words": self.words}


@dataclass(frozen=True, slots=True)
class Figures:
    """Every chart's series, over the same times, oldest first. None is a gap."""

    step_seconds: int
    times: tuple[float, ...]
    series: dict[str, tuple[float | None, ...]]
    marks: tuple[Mark, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "step_seconds": self.step_seconds,
            "times": list(self.times),
            "series": {name: list(values) for name, values in self.series.items()},
            "marks": [mark.to_json() for mark in self.marks],
        }


def figures(pool: AutoscalerClient, minutes: int = MINUTES) -> Figures:
    """Fetch everything that the charts show. Raises Unavailable."""
    answers = {name: pool.metrics(name, minutes) for name, _ in CHARTS}
    # The minute may change between two answers; all of them use the times of the last one.
    newest = answers[CHARTS[-1][0]]
    times = tuple(at for at, _ in newest["points"])
    series = {name: _along(times, answer) for name, answer in answers.items()}
    begin = times[0] if times else 0.0
    marks = [*_resizes(pool.resizes(_RESIZES)), *_faults(pool.events(_EVENTS))]
    seen = sorted((mark for mark in marks if mark.at >= begin), key=lambda mark: mark.at)
    return Figures(newest["step_seconds"], times, _without_the_minute_under_way(series), tuple(seen))


def _along(times: tuple[float, ...], answer: SeriesDocument) -> tuple[float | None, ...]:
    values = dict(answer["points"])
    return tuple(values.get(at) for at in times)


def _without_the_minute_under_way(
    series: dict[str, tuple[float | None, ...]],
) -> dict[str, tuple[float | None, ...]]:
    # The count of an unfinished minute, and nodes that have not reported in it yet, would look like a drop.
    requests, nodes = series["requests"], series["nodes"]
    return series | {
        "requests": (*requests[:-1], None) if requests else requests,
        "nodes": (*nodes[:-1], nodes[-1] or None) if nodes else nodes,
    }


def _resizes(resizes: list[ResizeRecord]) -> list[Mark]:
    return [
        Mark(resize["started_at"], "resize", _told(resize))
        for resize in resizes
        if resize["from"]  # creating the first map is not a resize
    ]


def _told(resize: ResizeRecord) -> str:
    before, after = len(resize["from"]), len(resize["to"])
    if resize["outcome"] == "aborted":
        return f"A resize to {resize['wanted']} nodes was aborted"
    if before == after:
        return "Partitions moved between nodes"
    return f"Resized from {before} to {after} node{'' if after == 1 else 's'}"


def _faults(events: list[EventRecord]) -> list[Mark]:
    return [Mark(event.at, "fault", event.title) for event in shown_events(events) if event.is_fault]
