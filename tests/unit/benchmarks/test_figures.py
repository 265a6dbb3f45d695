from __future__ import annotations

import pytest
from benchmarks.lib.figures import Cost, Measurement, median_p99_ms, median_rate, ratio, target_json
from benchmarks.lib.wrk import Load


def measured(*rates: float, p99_ms: float = 1.0) -> list[Measurement]:
    return [
        Measurement(Load(int(rate), 1.0, 0, 0, 0.5, p99_ms), Cost(0.5, 0.4, others))
        for rate, others in zip(rates, (0.1, 0.2, 0.3), strict=False)
    ]


def test_medians_are_over_the_rounds() -> None:
    rounds = measured(100, 300, 200)
    assert median_rate(rounds) == 200
    assert median_p99_ms(rounds) == 1.0


def test_a_ratio_is_taken_within_each_round() -> None:
    # The machine was three times as slow in the second round, for both: the medians alone would say 0.67.
    rounds = {"web": measured(200, 100, 300), "nginx": measured(100, 50, 300)}
    assert ratio(rounds, "web", "nginx") == 2.0


def test_there_is_no_ratio_to_what_was_not_measured_or_gave_nothing() -> None:
    rounds = {"web": measured(200, 100), "nginx": measured(0, 0)}
    assert ratio(rounds, "web", "memcached") is None
    assert ratio(rounds, "memcached", "web") is None
    assert ratio(rounds, "web", "nginx") is None


def test_errors_are_no_answers() -> None:
    assert Load(100, 2.0, 0, 20, 0, 0).requests_per_second == 40


def test_what_a_target_spent_on_an_answer() -> None:
    assert measured(1000)[0].server_microseconds == 500
    assert Measurement(Load(0, 1.0, 0, 0, 0, 0), Cost(1, 1, 0)).server_microseconds == 0


def test_a_target_as_json_has_the_medians_and_every_round() -> None:
    assert target_json(measured(100, 300, 200)) == {
        "requests_per_second": 200,
        "p50_ms": 0.5,
        "p99_ms": 1.0,
        "server_microseconds": pytest.approx(2500),
        "others_share": 0.2,
        "errors": 0,
        "rounds": [100, 300, 200],
    }
