"""Which window a decision is taken by."""

from __future__ import annotations

import pytest

from elastic_images.autoscaler.scaling.window_choice import Choice, choose
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.core.scaling import ScalingMetrics, ScalingState, decide
from elastic_images.metrics.store import Rate, Window

NOW = 1000.0
NODES = ("node-0", "node-1")


def window(age: float, *sources: str, webs: int | None = 1) -> Window:
    """One of a minute that ended so many seconds ago."""
    return Window(NOW - age - 61, NOW - age, Rate(10, 0, 10, sources), webs)


def chosen(
    windows: list[Window], *, nodes: tuple[str, ...] = NODES, webs: int = 1, since: float | None = None
) -> Choice:
    return choose(windows, nodes, webs, NOW, since)


def test_the_newest_in_which_all_reported() -> None:
    windows = [window(10, "node-0"), window(70, *NODES), window(130, *NODES)]
    assert chosen(windows) == Choice(windows[1], ())
    assert chosen(windows, nodes=("node-0",)).window is windows[0]


def test_where_none_is_whole_the_newest_tells_who_is_missing() -> None:
    windows = [window(10, "node-0"), window(70, "node-1"), window(130)]
    assert chosen(windows) == Choice(windows[0], ("node-1",))


def test_web_processes_are_counted() -> None:
    windows = [window(10, *NODES, webs=1), window(70, *NODES, webs=3)]
    assert chosen(windows, webs=3).window is windows[1]
    assert chosen(windows[:1], webs=3).missing == ("2 of 3 web processes",)
    assert chosen(windows[:1], webs=0).missing == ()


def test_a_store_that_tells_web_processes_apart_need_not_count_them() -> None:
    assert chosen([window(0, *NODES, webs=None)], webs=3).missing == ()


@pytest.mark.parametrize(("since", "age"), [(None, 70), (132.0, 70), (131.0, 70), (130.0, 10), (71.0, 10)])
def test_minutes_that_began_before_the_resize_ended_do_not_decide(since: float | None, age: float) -> None:
    windows = [window(10, "node-0"), window(70, *NODES), window(130, *NODES)]
    choice = chosen(windows, since=since)
    assert choice.window.ended_at == NOW - age
    assert bool(choice.missing) == (age == 10)


def action(choice: Choice, since: float | None) -> str:
    """What comes of it, at a miss rate of 1."""
    metrics = ScalingMetrics(choice.window.rate.requests, choice.window.rate.misses, choice.missing)
    state = ScalingState(nodes=2, seconds_since_resize=since, warm_up_seconds=NOW - choice.window.started_at)
    return decide(metrics, ScalingConfig(mode="auto", num_nodes=2), state).action


def test_a_pool_that_was_just_resized_is_left_alone_until_a_whole_minute_has_passed() -> None:
    windows = [window(10, *NODES), window(70, *NODES), window(130, *NODES)]
    for since in (0.0, 1.0, 30.0, 70.9):
        assert action(chosen(windows, since=since), since) == "hold"
    assert action(chosen(windows, since=71.0), 71.0) == "grow"
    assert action(chosen(windows, since=None), None) == "grow"


def test_missing_is_missing_and_never_zero() -> None:
    assert action(chosen([window(10, "node-0"), window(70)]), None) == "hold"
    assert action(chosen([window(10, *NODES, webs=0)]), None) == "hold"
