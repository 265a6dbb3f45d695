"""Reads figures from CloudWatch: few calls, cached answers, and a backoff while it fails."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from elastic_images.core.errors import Unavailable
from elastic_images.metrics.cloudwatch.errors import CloudWatchError, as_ours
from elastic_images.metrics.cloudwatch.location import Location

_log = logging.getLogger(__name__)

KEPT_SECONDS = 30.0
QUERIES_IN_A_CALL = 500
_MOST_PAGES = 100
_ANSWERS_KEPT = 64
_FIRST_BACKOFF_SECONDS = 5.0
_LONGEST_BACKOFF_SECONDS = 60.0


class CloudWatchService(Protocol):
    """The service. Safe to share between threads."""

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Make one request, in the service's terms: `call("GetMetricData", MetricDataQueries=...)`.

        Raises CloudWatchError.
        """

    def close(self) -> None:
        """Release the connections."""


@dataclass(frozen=True, slots=True)
class Query:
    """One statistic of one series."""

    figure: str
    slot: str
    statistic: Literal["Sum", "Average", "SampleCount"]


Answer = Mapping[Query, Mapping[int, float]]
"""For each query, its values by the start of their step."""
_Key = tuple[tuple[Query, ...], int, int, int]


class FigureReader:
    """Queries CloudWatch. Safe to share between threads; one queries at a time, and the others wait.

    Answers are cached for `kept_seconds`. After a failure, calls fail at once for some seconds, growing to a minute:
    a page with ten charts must not wait ten times.
    """

    def __init__(
        self,
        service: CloudWatchService,
        location: Location,
        *,
        kept_seconds: float = KEPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._location = location
        self._kept_seconds = kept_seconds
        self._clock = clock
        self._asking = threading.Lock()
        self._answers: OrderedDict[_Key, tuple[float, Answer]] = OrderedDict()
        self._backoff_seconds = 0.0
        self._backoff_until = 0.0
        self._failure = ""

    def read(self, queries: Sequence[Query], first: int, end: int, step_seconds: int) -> Answer:
        """The values of the steps from `first` up to `end`, exclusive (seconds since the epoch, whole steps).

        Raises:
            Unavailable: CloudWatch does not answer, refuses, or answers incompletely.
        """
        key = (tuple(queries), first, end, step_seconds)
        with self._asking:
            now = self._clock()
            kept = self._answers.get(key)
            if kept is not None and now < kept[0] + self._kept_seconds:
                return kept[1]
            if now < self._backoff_until:
                raise Unavailable(self._failure, retry_after_seconds=max(1, round(self._backoff_until - now)))
            try:
                answer = self._ask(*key)
            except CloudWatchError as trouble:
                raise self._back_off(trouble) from None
            self._backoff_seconds = 0.0
            self._keep(key, answer)
            return answer

    def _keep(self, key: _Key, answer: Answer) -> None:
        self._answers[key] = (self._clock(), answer)
        self._answers.move_to_end(key)
        while len(self._answers) > _ANSWERS_KEPT:
            self._answers.popitem(last=False)

    def _back_off(self, trouble: CloudWatchError) -> Unavailable:
        self._backoff_seconds = min(2 * self._backoff_seconds or _FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS)
        self._backoff_until = self._clock() + self._backoff_seconds
        self._failure = str(as_ours(trouble))
        _log.warning("reading metrics failed, backing off for %.0f s: %s", self._backoff_seconds, self._failure)
        return Unavailable(self._failure, retry_after_seconds=round(self._backoff_seconds))

    def _ask(self, queries: tuple[Query, ...], first: int, end: int, step_seconds: int) -> Answer:
        found: dict[Query, dict[int, float]] = {query: {} for query in queries}
        for start in range(0, len(queries), QUERIES_IN_A_CALL):
            some = queries[start : start + QUERIES_IN_A_CALL]
            named = {f"q{number}": query for number, query in enumerate(some)}
            incomplete = set(named)
            for result in self._results(named, first, end, step_seconds):
                values = found[named[result["Id"]]]
                for moment, value in zip(result["Timestamps"], result["Values"], strict=True):
                    values[int(moment.timestamp())] = float(value)
                if result.get("StatusCode", "Complete") == "Complete":
                    incomplete.discard(result["Id"])
            if incomplete:
                raise CloudWatchError("PartialData", operation="GetMetricData", answered=True)
        return found

    def _results(self, named: Mapping[str, Query], first: int, end: int, step_seconds: int) -> list[dict[str, Any]]:
        arguments = {
            "MetricDataQueries": [self._query(name, query, step_seconds) for name, query in named.items()],
            "StartTime": datetime.fromtimestamp(first, UTC),
            "EndTime": datetime.fromtimestamp(end, UTC),
            "ScanBy": "TimestampAscending",
        }
        results: list[dict[str, Any]] = []
        for _ in range(_MOST_PAGES):
            answer = self._service.call("GetMetricData", **arguments)
            results += answer.get("MetricDataResults", [])
            if not answer.get("NextToken"):
                return results
            arguments["NextToken"] = answer["NextToken"]
        raise CloudWatchError("TooManyPages", operation="GetMetricData", answered=True)

    def _query(self, name: str, query: Query, step_seconds: int) -> dict[str, Any]:
        metric = {
            "Namespace": self._location.namespace,
            "MetricName": query.figure,
            "Dimensions": self._location.dimensions(query.slot),
        }
        return {"Id": name, "MetricStat": {"Metric": metric, "Period": step_seconds, "Stat": query.statistic}}
