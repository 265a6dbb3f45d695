"""What the CloudWatch dashboard of a pool shows. Pure."""

from __future__ import annotations

from typing import Any

from elastic_images.core.assignment import MAX_NODES
from elastic_images.metrics.cloudwatch.figures import BYPASSES, BYTES, EVICTIONS, HITS, ITEMS, MISSES, SLOTS, WEB
from elastic_images.metrics.cloudwatch.place import Place

_WIDTH, _HEIGHT, _IN_A_ROW = 8, 6, 3
_PERIOD_SECONDS = 60


def dashboard(place: Place, region: str) -> dict[str, Any]:
    """The dashboard's body: a widget for each chart, three in a row."""
    charts = [
        ("Reads a minute", True, _of_pool(place)),
        ("Miss rate", False, _miss_rate(place)),
        ("Nodes that reported", False, _nodes(place)),
        ("Hits by slot", True, _by_slot(place, HITS, "Sum")),
        ("Misses by slot", True, _by_slot(place, MISSES, "Sum")),
        ("Reads past the pool", False, [_metric(place, BYPASSES, WEB, label="bypasses", stat="Sum")]),
        ("Images in memory", True, _held(place, ITEMS)),
        ("Bytes in memory", True, _held(place, BYTES)),
        ("Evictions by slot", True, _by_slot(place, EVICTIONS, "Sum")),
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


def _metric(place: Place, figure: str, slot: str | None, **options: Any) -> list[Any]:
    names = [text for one in place.dimensions(slot) for text in (one["Name"], one["Value"])]
    return [place.namespace, figure, *names, options]


def _of_pool(place: Place) -> list[Any]:
    return [_metric(place, figure, None, label=figure.lower(), stat="Sum") for figure in (HITS, MISSES)]


def _miss_rate(place: Place) -> list[Any]:
    hidden = [
        _metric(place, figure, None, id=name, stat="Sum", visible=False)
        for figure, name in ((HITS, "h"), (MISSES, "m"))
    ]
    return [[{"expression": "m/(h+m)", "label": "miss rate", "id": "rate"}], *hidden]


def _nodes(place: Place) -> list[Any]:
    hidden = [
        _metric(place, HITS, slot, id=f"n{slot}", stat="SampleCount", visible=False) for slot in SLOTS[:MAX_NODES]
    ]
    return [[{"expression": "SUM(METRICS())", "label": "nodes", "id": "nodes"}], *hidden]


def _by_slot(place: Place, figure: str, stat: str) -> list[Any]:
    return [_metric(place, figure, slot, label=_label(slot), stat=stat) for slot in SLOTS]


def _held(place: Place, figure: str) -> list[Any]:
    return [
        _metric(place, figure, slot, label=_label(slot), stat="Sum" if slot == WEB else "Average") for slot in SLOTS
    ]


def _label(slot: str) -> str:
    return slot if slot == WEB else f"node {slot}"
