from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.pool_config import ScalingConfig
from elastic_images.core.scaling import Decision, ScalingMetrics, ScalingState, decide

AUTO = ScalingConfig(mode="auto", max_miss=0.3, min_miss=0.05, expand_ratio=2.0, shrink_ratio=0.5)
HIGH, MIDDLE, LOW = ScalingMetrics(100, 31), ScalingMetrics(100, 10), ScalingMetrics(100, 4)


def sizes(decision: Decision) -> tuple[str, int, int]:
    return decision.action, decision.nodes_before, decision.nodes_after


@pytest.mark.parametrize(
    ("nodes", "ratio", "after"),
    [(1, 2, 2), (2, 2, 4), (3, 1.5, 5), (5, 2, 8), (1, 1.01, 2), (4, 1.01, 5), (1, 1e300, 8)],
)
def test_above_the_maximum_the_pool_grows_rounded_up(nodes: int, ratio: float, after: int) -> None:
    decision = decide(HIGH, replace(AUTO, expand_ratio=ratio), ScalingState(nodes))
    assert sizes(decision) == ("grow", nodes, after)
    assert decision.reason == f"Miss rate 31.0 % is above the maximum of 30.0 %: from {nodes} to {after} nodes."


@pytest.mark.parametrize(
    ("nodes", "ratio", "after"), [(8, 0.5, 4), (3, 0.5, 1), (8, 0.99, 7), (2, 0.99, 1), (2, 0.001, 1), (7, 0.5, 3)]
)
def test_below_the_minimum_the_pool_shrinks_rounded_down(nodes: int, ratio: float, after: int) -> None:
    decision = decide(LOW, replace(AUTO, shrink_ratio=ratio), ScalingState(nodes))
    assert sizes(decision) == ("shrink", nodes, after)
    assert decision.reason == f"Miss rate 4.0 % is below the minimum of 5.0 %: from {nodes} to {after} nodes."


@pytest.mark.parametrize(
    ("metrics", "config", "state", "reason"),
    [
        (MIDDLE, AUTO, ScalingState(2), "Miss rate 10.0 % is between 5.0 % and 30.0 %."),
        (ScalingMetrics(10, 3), AUTO, ScalingState(2), "Miss rate 30.0 % is between 5.0 % and 30.0 %."),
        (ScalingMetrics(100, 5), AUTO, ScalingState(2), "Miss rate 5.0 % is between 5.0 % and 30.0 %."),
        (
            HIGH,
            AUTO,
            ScalingState(8),
            "Miss rate 31.0 % is above the maximum of 30.0 %, but the pool is already at its maximum of 8 nodes.",
        ),
        (
            LOW,
            AUTO,
            ScalingState(1),
            "Miss rate 4.0 % is below the minimum of 5.0 %, but the pool is already at its minimum of 1 node.",
        ),
        (ScalingMetrics(0, 0), AUTO, ScalingState(2), "There were no requests in the last minute."),
        (HIGH, ScalingConfig(mode="manual"), ScalingState(2), "The mode is manual: the size is set by hand."),
        (HIGH, AUTO, ScalingState(2, resizing=True), "A resize is under way."),
        (
            HIGH,
            AUTO,
            ScalingState(2, seconds_since_resize=29.0, warm_up_seconds=30),
            "Cooldown: the last resize ended 29 s ago, less than 30 s.",
        ),
        (
            ScalingMetrics(100, 99, missing=("node-1", "node-4")),
            AUTO,
            ScalingState(5),
            "No data in the last minute from node-1, node-4.",
        ),
        (ScalingMetrics(10, 11), AUTO, ScalingState(2), "The counts of the last minute make no sense."),
        (
            HIGH,
            replace(AUTO, max_miss=0.01),
            ScalingState(2),
            "The scaling settings make no sense: a number in them is out of its range.",
        ),
    ],
)
def test_the_pool_is_held(metrics: ScalingMetrics, config: ScalingConfig, state: ScalingState, reason: str) -> None:
    decision = decide(metrics, config, state)
    assert sizes(decision) == ("hold", state.nodes, state.nodes)
    assert decision.reason == reason


def test_after_the_warm_up_the_policy_is_asked_again() -> None:
    assert decide(HIGH, AUTO, ScalingState(2, seconds_since_resize=30.0, warm_up_seconds=30)).action == "grow"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["expand_ratio", "shrink_ratio", "max_miss", "min_miss"])
def test_a_policy_with_nan_holds(field: str, number: float) -> None:
    for metrics in (HIGH, MIDDLE, LOW):
        config = replace(AUTO, **{field: number})  # type: ignore[arg-type]
        assert decide(metrics, config, ScalingState(4)).action == "hold"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, -1.0])
def test_counts_with_nan_hold(number: float) -> None:
    for metrics in (ScalingMetrics(number, 1), ScalingMetrics(1, number), ScalingMetrics(number, number)):
        assert decide(metrics, AUTO, ScalingState(4)).action == "hold"


def test_the_record_holds_what_was_known() -> None:
    decision = decide(replace(HIGH, missing=("node-2",)), replace(AUTO, max_miss=math.nan), ScalingState(3))
    inputs = json.loads(json.dumps(decision.inputs, allow_nan=False))
    assert inputs == {
        "requests": 100,
        "misses": 31,
        "miss_rate": 0.31,
        "window_seconds": 60.0,
        "window_age_seconds": 0.0,
        "missing": ["node-2"],
        "nodes": 3,
        "resizing": False,
        "seconds_since_resize": None,
        "warm_up_seconds": 65.0,
        "mode": "auto",
        "expand_ratio": 2.0,
        "shrink_ratio": 0.5,
        "max_miss": "nan",
        "min_miss": 0.05,
    }
    assert decision.policy == "threshold"


numbers = st.one_of(st.floats(), st.floats(0, 1), st.integers(0, 1000).map(float))


@given(
    st.builds(ScalingMetrics, requests=numbers, misses=numbers, missing=st.sampled_from([(), ("node-0",)])),
    st.builds(
        ScalingConfig,
        mode=st.just("auto"),
        expand_ratio=numbers,
        shrink_ratio=numbers,
        max_miss=numbers,
        min_miss=numbers,
    ),
    st.builds(
        ScalingState,
        nodes=st.integers(1, 8),
        resizing=st.booleans(),
        seconds_since_resize=st.one_of(st.none(), numbers),
        warm_up_seconds=numbers,
    ),
)
def test_decide_never_raises_and_stays_in_bounds(
    metrics: ScalingMetrics, config: ScalingConfig, state: ScalingState
) -> None:
    decision = decide(metrics, config, state)
    assert 1 <= decision.nodes_after <= 8
    direction = {"grow": 1, "shrink": -1, "hold": 0}[decision.action]
    assert (decision.nodes_after - decision.nodes_before > 0) - (
        decision.nodes_after < decision.nodes_before
    ) == direction
    json.dumps(decision.inputs, allow_nan=False)
