from __future__ import annotations

import json
import math
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update

from elastic_images.autoscaler.config_store import ConfigStore
from elastic_images.autoscaler.journal import Journal
from elastic_images.autoscaler.scaling.decisions import DecisionLog
from elastic_images.autoscaler.scaling.loop import ScalingLoop
from elastic_images.core.errors import Unavailable
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.core.scaling import Decision
from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine
from elastic_images.metrics.store import Rate, Window
from elastic_images.pool.store import PoolStore
from elastic_images.pool.tables import pool_state
from elastic_images.pool.view import Member


class Metrics:
    """Rates as the test sets them, of a window that ends now, or of those in `late`."""

    def __init__(self) -> None:
        self.rate_now: Rate | Exception = Rate(0, 0, 0, ())
        self.late: list[Window] = []
        self.asked: list[tuple[float, float]] = []
        self.asked_for: list[str] = []

    def windows(self, window_seconds: float, now: float, sources: Collection[str]) -> Sequence[Window]:
        self.asked.append((window_seconds, now))
        self.asked_for = sorted(sources)
        if isinstance(self.rate_now, Exception):
            raise self.rate_now
        return self.late or [Window(now - window_seconds - 5, now, self.rate_now)]


class Scene:
    """A scaling loop on a real database."""

    def __init__(self, engine: Engine) -> None:
        self.now = 10_000.0
        self.engine = engine
        self.store = PoolStore(engine, lambda: self.now)
        self.config_store = ConfigStore(
            self.store, Journal(engine), ScalingConfig(mode="auto", num_nodes=2, max_miss=0.4, min_miss=0.1)
        )
        self.config_store.keep_first()
        self.metrics = Metrics()
        self.log = DecisionLog(engine, lambda: self.now)
        self.resizing = False
        self.last_resize_at: float | None = None
        self.decided: list[Decision] = []
        self.loop = self.make(60.0)

    def make(self, interval_seconds: float) -> ScalingLoop:
        return ScalingLoop(
            self.config_store,
            self.metrics,
            self.log,
            pool=self.store.read,
            resizing=lambda: self.resizing,
            last_resize_at=lambda: self.last_resize_at,
            on_decision=self.decided.append,
            interval_seconds=interval_seconds,
            clock=lambda: self.now,
        )

    def register(self, member_id: str, ago: float) -> None:
        kind = member_id.partition("-")[0]
        self.now -= ago
        self.store.register(Member(member_id * 5, member_id, kind, "a:1", "a:2"))
        self.now += ago

    def break_config(self, **values: Any) -> None:
        kept = {**self.store.read().config, **values}
        with self.engine.begin() as connection:
            connection.execute(update(pool_state).values(config=json.dumps(kept)))


def decided(scene: Scene) -> Decision:
    decision = scene.loop.step()
    assert decision is not None
    return decision


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    engine = open_engine(f"sqlite:///{tmp_path}/scaling.db")
    metadata.create_all(engine)
    yield Scene(engine)
    engine.dispose()


@pytest.mark.parametrize(
    ("rate", "action", "nodes"),
    [
        (Rate(100, 20, 80, ("web-1",)), "grow", 4),
        (Rate(100, 99, 1, ("web-1",)), "shrink", 1),
        (Rate(100, 80, 20, ("web-1",)), "hold", 2),
        (Rate(0, 0, 0, ("web-1",)), "hold", 2),
    ],
)
def test_a_decision_is_kept_with_its_inputs_and_carried_out(scene: Scene, rate: Rate, action: str, nodes: int) -> None:
    scene.metrics.rate_now = rate
    decision = scene.loop.step()
    assert decision is not None
    (kept,) = scene.log.list(10)
    assert (kept["action"], kept["nodes_before"], kept["nodes_after"]) == (action, 2, nodes)
    assert kept["at"] == scene.now
    assert kept["reason"] == decision.reason
    assert kept["inputs"]["requests"] == rate.requests
    assert kept["inputs"]["miss_rate"] == rate.miss_rate
    assert scene.config_store.current().num_nodes == nodes
    assert scene.metrics.asked == [(60.0, scene.now)]
    assert scene.decided == [decision]


def test_in_manual_mode_nothing_happens(scene: Scene) -> None:
    scene.config_store.update({"mode": "manual"})
    scene.metrics.rate_now = Rate(100, 0, 100, ())
    assert scene.loop.step() is None
    assert scene.log.list(10) == []
    assert scene.metrics.asked == []


def test_a_node_that_reports_nothing_holds_unless_it_is_new(scene: Scene) -> None:
    scene.metrics.rate_now = Rate(100, 0, 100, ("node-0",))
    scene.register("node-0", ago=300)
    scene.register("node-1", ago=300)
    scene.register("web-1", ago=300)
    decision = scene.loop.step()
    assert decision is not None
    assert decision.action == "hold"
    assert decision.inputs["missing"] == ["node-1"]
    scene.store.mark_dead("node-1" * 5)
    scene.register("node-2", ago=1)
    decision = scene.loop.step()
    assert decision is not None
    assert decision.action == "grow"


def test_a_resize_under_way_and_warming_up_hold(scene: Scene) -> None:
    scene.metrics.rate_now = Rate(100, 0, 100, ())
    scene.resizing = True
    assert "under way" in decided(scene).reason
    scene.resizing = False
    scene.last_resize_at = scene.now - 30
    assert "Cooldown" in decided(scene).reason
    scene.last_resize_at = scene.now - 66
    assert decided(scene).action == "grow"


@pytest.mark.parametrize("error", [Unavailable("The metrics cannot be reached."), RuntimeError("a bug")])
def test_a_round_that_fails_is_kept_and_the_next_one_goes_on(scene: Scene, error: Exception) -> None:
    scene.metrics.rate_now = error
    assert scene.loop.step() is None
    (kept,) = scene.log.list(10)
    assert kept["action"] == "error"
    assert "Could not decide" in kept["reason"]
    assert (kept["nodes_before"], kept["nodes_after"]) == (2, 2)
    scene.metrics.rate_now = Rate(100, 0, 100, ())
    assert decided(scene).action == "grow"


def test_numbers_that_are_none_never_stop_the_loop(scene: Scene) -> None:
    scene.metrics.rate_now = Rate(100, 0, 100, ())
    for name in ("max_miss", "min_miss", "expand_ratio", "shrink_ratio"):
        for value in (math.nan, math.inf, "a word", None, [1]):
            scene.break_config(**{name: value})
            decision = scene.loop.step()
            assert decision is not None
            assert decision.action in ("hold", "grow")
        scene.break_config(**{name: getattr(ScalingConfig(), name), "num_nodes": 2})


def test_a_database_that_is_gone_does_not_stop_the_loop(scene: Scene) -> None:
    metadata.drop_all(scene.engine)
    assert scene.loop.step() is None


def test_the_thread_takes_a_decision_every_interval(scene: Scene) -> None:
    twice = threading.Semaphore(0)
    loop = scene.make(0.01)
    loop._on_decision = lambda _decision: twice.release()
    loop.start()
    assert twice.acquire(timeout=60)
    assert twice.acquire(timeout=60)
    loop.stop()


def test_a_short_interval_still_looks_at_a_few_samples(scene: Scene) -> None:
    scene.make(6.0).step()
    assert scene.metrics.asked[-1][0] == 15.0


def minutes(*sources: tuple[str, ...], now: float, webs: int = 1) -> list[Window]:
    """Whole minutes, the newest first, each with those who reported in it; the newest ended 20 s ago."""
    return [
        Window(now - 81 - 60 * number, now - 20 - 60 * number, Rate(100, 0, 100, reported), webs)
        for number, reported in enumerate(sources)
    ]


def test_late_figures_decide_by_the_newest_minute_in_which_all_reported(scene: Scene) -> None:
    for member in ("node-0", "node-1", "web-1"):
        scene.register(member, ago=300)
    both = ("node-0", "node-1", "web")
    scene.metrics.late = minutes(("node-1",), both, both, now=scene.now)
    decision = decided(scene)
    assert decision.action == "grow"
    assert decision.inputs["window_age_seconds"] == 80
    assert scene.metrics.asked_for == ["node-0", "node-1"]


def test_late_figures_hold_where_somebody_never_reported(scene: Scene) -> None:
    for member in ("node-0", "node-1", "web-1", "web-2"):
        scene.register(member, ago=300)
    scene.metrics.late = minutes(("node-1",), ("node-0",), (), now=scene.now, webs=2)
    assert decided(scene).inputs["missing"] == ["node-0"]
    scene.metrics.late = minutes(("node-0", "node-1"), now=scene.now, webs=1)
    decision = decided(scene)
    assert (decision.action, decision.inputs["missing"]) == ("hold", ["1 of 2 web processes"])
    assert decision.reason == "No data in the last minute from 1 of 2 web processes."


def test_late_figures_of_the_pool_before_a_resize_do_not_decide(scene: Scene) -> None:
    scene.register("node-0", ago=300)
    scene.metrics.late = minutes(*[("node-0",)] * 3, now=scene.now)
    scene.last_resize_at = scene.now - 80
    assert "Cooldown" in decided(scene).reason
    scene.last_resize_at = scene.now - 81
    assert decided(scene).action == "grow"
