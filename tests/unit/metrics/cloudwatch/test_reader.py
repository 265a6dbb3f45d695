"""How often CloudWatch is asked, and how an answer in parts is put together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from elastic_images.core.errors import Unavailable
from elastic_images.metrics.cloudwatch.errors import CloudWatchError
from elastic_images.metrics.cloudwatch.location import Location
from elastic_images.metrics.cloudwatch.reader import QUERIES_IN_A_CALL, FigureReader, Query
from elastic_images.metrics.cloudwatch.series import wanted_by
from elastic_images.metrics.store import SERIES_NAMES

FIRST = 1_700_006_400
Answerer = Callable[[dict[str, Any]], dict[str, Any]]


def value_for_each(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"MetricDataResults": [part(query["Id"], {0: 1.0}) for query in arguments["MetricDataQueries"]]}


def part(name: str, values: dict[int, float], status: str = "Complete") -> dict[str, Any]:
    moments = [datetime.fromtimestamp(FIRST + 60 * number, UTC) for number in values]
    return {"Id": name, "Timestamps": moments, "Values": list(values.values()), "StatusCode": status}


class Service:
    """Answers as it is told to."""

    def __init__(self, answer: Answerer = value_for_each) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        assert operation == "GetMetricData"
        self.asked.append(arguments)
        return self.answer(arguments)

    def close(self) -> None:
        """Nothing is open."""


class Scene:
    def __init__(self, answer: Answerer = value_for_each) -> None:
        self.now = 0.0
        self.service = Service(answer)
        self.reader = FigureReader(self.service, Location("N", "p"), clock=lambda: self.now)

    def read(self, *queries: Query, minutes: int = 3) -> dict[str, dict[int, float]]:
        found = self.reader.read(queries or (Query("Hits", "0", "Sum"),), FIRST, FIRST + 60 * minutes, 60)
        return {f"{query.figure} {query.slot}": dict(values) for query, values in found.items()}


def test_an_answer_is_kept_for_half_a_minute() -> None:
    scene = Scene()
    for _ in range(20):
        assert scene.read() == {"Hits 0": {FIRST: 1.0}}
    scene.now = 29.9
    scene.read()
    assert len(scene.service.asked) == 1
    scene.now = 30
    scene.read()
    assert len(scene.service.asked) == 2


def test_all_charts_of_a_dashboard_cost_two_calls_in_half_a_minute() -> None:
    scene = Scene()
    for _ in range(5):
        for name in ("nodes", "requests", "hit_rate", "miss_rate", "items", "bytes"):
            scene.read(*wanted_by(name))
    assert len(scene.service.asked) == 2
    assert sum(len(call["MetricDataQueries"]) for call in scene.service.asked) == 36


def test_no_series_needs_more_than_one_call() -> None:
    assert all(len(wanted_by(name)) <= QUERIES_IN_A_CALL for name in SERIES_NAMES)


def test_those_who_ask_at_once_share_an_answer() -> None:
    scene = Scene()
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        scene.read()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(scene.service.asked) == 1


def test_pages_are_put_together() -> None:
    pages: list[dict[str, Any]] = [
        {"MetricDataResults": [part("q0", {0: 1.0}, "PartialData"), part("q1", {})], "NextToken": "more"},
        {"MetricDataResults": [part("q0", {1: 2.0})]},
    ]

    def answer(arguments: dict[str, Any]) -> dict[str, Any]:
        return pages[1 if arguments.get("NextToken") == "more" else 0]

    scene = Scene(answer)
    found = scene.read(Query("Hits", "0", "Sum"), Query("Hits", "1", "Sum"))
    assert found == {"Hits 0": {FIRST: 1.0, FIRST + 60: 2.0}, "Hits 1": {}}
    assert len(scene.service.asked) == 2


def test_more_than_500_questions_are_several_calls() -> None:
    scene = Scene()
    queries = [Query(f"F{number}", "0", "Sum") for number in range(1100)]
    found = scene.read(*queries)
    assert [len(call["MetricDataQueries"]) for call in scene.service.asked] == [500, 500, 100]
    assert len(found) == 1100
    assert all(values == {FIRST: 1.0} for values in found.values())


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: {"MetricDataResults": [part("q0", {0: 1.0}, "PartialData")]},
        lambda _: {"MetricDataResults": [part("q0", {}, "InternalError")]},
        lambda _: {"MetricDataResults": []},
        lambda _: {},
        lambda _: {"MetricDataResults": [], "NextToken": "for ever"},
    ],
)
def test_less_than_all_is_nothing(answer: Answerer) -> None:
    with pytest.raises(Unavailable):
        Scene(answer).read()


def test_while_it_fails_it_is_asked_less_and_less_and_a_success_forgets_that() -> None:
    def failing(_: dict[str, Any]) -> dict[str, Any]:
        raise CloudWatchError("ThrottlingException", operation="GetMetricData", answered=True)

    scene = Scene(failing)
    asked_at = []
    for second in range(300):
        scene.now = float(second)
        before = len(scene.service.asked)
        with pytest.raises(Unavailable, match="throttles this account"):
            scene.read()
        if len(scene.service.asked) > before:
            asked_at.append(second)
    assert asked_at == [0, 5, 15, 35, 75, 135, 195, 255]
    scene.service.answer = value_for_each
    scene.now = 400
    assert scene.read()
    scene.service.answer = failing
    scene.now = 500
    with pytest.raises(Unavailable) as raised:
        scene.read()
    assert raised.value.retry_after_seconds == 5


def test_few_answers_are_kept() -> None:
    scene = Scene()
    for minutes in range(1, 500):
        scene.read(minutes=minutes)
    assert len(scene.reader._answers) <= 64
