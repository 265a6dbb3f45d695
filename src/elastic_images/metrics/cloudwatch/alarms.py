"""A pool's alarms in CloudWatch. Pure."""

from __future__ import annotations

from typing import Any

from elastic_images.metrics.cloudwatch.figures import BYPASSES, HITS, MINUTE_SECONDS, MISSES, WEB
from elastic_images.metrics.cloudwatch.location import Location

SILENT_MINUTES = 5
MISSING_MINUTES = 15
BYPASSING_MINUTES = 5
FEW_READS = 60
"""Reads per minute. Below this, a miss rate means little, and bypasses are no problem."""
DEFAULT_MISS_RATE = 0.5
NAMES = ("silent", "miss-rate", "bypasses")


def alarm_names(location: Location) -> list[str]:
    """The names of all alarms."""
    return [f"{location.name}-{name}" for name in NAMES]


def alarms(location: Location, miss_rate: float = DEFAULT_MISS_RATE) -> list[dict[str, Any]]:
    """The arguments of `PutMetricAlarm` for each alarm, without its topics."""
    silent, missing, bypassing = alarm_names(location)
    return [
        {
            "AlarmName": silent,
            "AlarmDescription": f"No process of the pool {location.pool} has reported for {SILENT_MINUTES} minutes.",
            **_series(location, HITS, None, "SampleCount"),
            **_when("LessThanThreshold", 1, SILENT_MINUTES, "breaching"),
        },
        {
            "AlarmName": missing,
            "AlarmDescription": (
                f"More than {miss_rate:.0%} of the reads from the pool {location.pool} needed storage for "
                f"{MISSING_MINUTES} minutes: it has too few nodes, they are too small, or it does not scale."
            ),
            "Metrics": [
                {
                    "Id": "rate",
                    "Expression": f"IF(h+m>={FEW_READS},m/(h+m),0)",
                    "Label": "miss rate",
                    "ReturnData": True,
                },
                _hidden(location, "h", HITS),
                _hidden(location, "m", MISSES),
            ],
            **_when("GreaterThanThreshold", miss_rate, MISSING_MINUTES, "notBreaching"),
        },
        {
            "AlarmName": bypassing,
            "AlarmDescription": (
                f"For {BYPASSING_MINUTES} minutes, reads have bypassed the pool {location.pool}: no node answers."
            ),
            **_series(location, BYPASSES, WEB, "Sum"),
            **_when("GreaterThanOrEqualToThreshold", FEW_READS, BYPASSING_MINUTES, "notBreaching"),
        },
    ]


def _series(location: Location, figure: str, slot: str | None, statistic: str) -> dict[str, Any]:
    return {
        "Namespace": location.namespace,
        "MetricName": figure,
        "Dimensions": location.dimensions(slot),
        "Statistic": statistic,
        "Period": MINUTE_SECONDS,
    }


def _hidden(location: Location, name: str, figure: str) -> dict[str, Any]:
    metric = {"Namespace": location.namespace, "MetricName": figure, "Dimensions": location.dimensions(None)}
    return {
        "Id": name,
        "MetricStat": {"Metric": metric, "Period": MINUTE_SECONDS, "Stat": "Sum"},
        "ReturnData": False,
    }


def _when(comparison: str, threshold: float, minutes: int, missing: str) -> dict[str, Any]:
    return {
        "ComparisonOperator": comparison,
        "Threshold": float(threshold),
        "EvaluationPeriods": minutes,
        "DatapointsToAlarm": minutes,
        "TreatMissingData": missing,
    }
