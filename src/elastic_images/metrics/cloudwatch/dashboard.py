"""A pool's dashboard in CloudWatch. Pure."""

from __future__ import annotations

from typing import Any

from elastic_images.core.assignment import MAX_NODES
from elastic_images.metrics.cloudwatch.figures import BYPASSES, BYTES, EVICTIONS, HITS, ITEMS, MISSES, SLOTS, WEB
from elastic_images.metrics.cloudwatch.location import Location

_WIDTH, _HEIGHT, _IN_A_ROW = 8, 6, 3
_PERIOD_SECONDS = 60


def dashboard(location: Location, region: str) -> dict[str, Any]:
    """The dashboard's body: one widget per chart, three to a row."""
    charts = [
        ("Reads per minute", True, _of_pool(location)),
        ("Miss rate", False, _miss_rate(location)),
        ("Nodes that reported", False, _nodes(location)),
        ("Hits by slot", True, _by_slot(location, HITS, "Sum")),
        ("Misses by slot", True, _by_slot(location, MISSES, "Sum")),
        ("Bypasses", False, [_metric(location, BYPASSES, WEB, label="bypasses", stat="Sum")]),
        ("Images in memory", True, _held(location, ITEMS)),
        ("Bytes in memory", True, _held(location, BYTES)),
        ("Evictions by slot", True, _by_slot(location, EVICTIONS, "Sum")),
    ]
    return {
        "widgets": [
            {
                "type": "metric",
                "x": number % _IN_A_ROW * _WIDTH,
                "y": number // _IN_A_ROW * _HEIGHT,
                "width": _WIDTH,
                "height": _HEIGHT,
                "properties": {
                    "title": title,
                    "region": region,
                    "view": "timeSeries",
                    "stacked": stacked,
                    "period": _PERIOD_SECONDS,
                    "yAxis": {"left": {"min": 0}},
                    "metrics": metrics,
                },
            }
            for number, (title, stacked, metrics) in enumerate(charts)
        ]
    }


def _metric(location: Location, figure: str, slot: str | None, **options: Any) -> list[Any]:
    names = [text for one in location.dimensions(slot) for text in (one["Name"], one["Value"])]
    return [location.namespace, figure, *names, options]


def _of_pool(location: Location) -> list[Any]:
    return [_metric(location, figure, None, label=figure.lower(), stat="Sum") for figure in (HITS, MISSES)]


def _miss_rate(location: Location) -> list[Any]:
    hidden = [
        _metric(location, figure, None, id=name, stat="Sum", visible=False)
        for figure, name in ((HITS, "h"), (MISSES, "m"))
    ]
    return [[{"expression": "m/(h+m)", "label": "miss rate", "id": "rate"}], *hidden]


def _nodes(location: Location) -> list[Any]:
    hidden = [
        _metric(location, HITS, slot, id=f"n{slot}", stat="SampleCount", visible=False) for slot in SLOTS[:MAX_NODES]
    ]
    return [[{"expression": "SUM(METRICS())", "label": "nodes", "id": "nodes"}], *hidden]


def _by_slot(location: Location, figure: str, stat: str) -> list[Any]:
    return [_metric(location, figure, slot, label=_label(slot), stat=stat) for slot in SLOTS]


def _held(location: Location, figure: str) -> list[Any]:
    return [
        _metric(location, figure, slot, label=_label(slot), stat="Sum" if slot == WEB else "Average") for slot in SLOTS
    ]


def _label(slot: str) -> str:
    return slot if slot == WEB else f"node {slot}"
