"""Settings, journal, events and decisions in the database."""

from __future__ import annotations

import math

import pytest
from sqlalchemy import func, select
from tests.unit.autoscaler.world import World

from elastic_images.autoscaler.config_store import kept_config
from elastic_images.autoscaler.plan import MapChange
from elastic_images.autoscaler.records import append
from elastic_images.autoscaler.scaling.decisions import DecisionLog
from elastic_images.autoscaler.tables import pool_events, resizes
from elastic_images.core.assignment import alternating
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.events import Event
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.core.pool_map import first_map, open_resize

FIRST = ScalingConfig(num_nodes=3, cache_mb=7)


def test_the_first_settings_are_kept_once(world: World) -> None:
    world.config_store.update({"num_nodes": 5})
    world.config_store.keep_first()
    assert world.config_store.current().num_nodes == 5


def test_nodes_find_their_capacity_in_the_pools_settings(world: World) -> None:
    world.config_store.update({"cache_mb": 12, "policy": "RR"})
    kept = world.store.read().config
    assert (kept["cache_mb"], kept["cache_bytes"], kept["policy"]) == (12, 12_000_000, "RR")


def test_a_change_is_recorded_and_told(world: World) -> None:
    told: list[bool] = []
    world.config_store.on_change = lambda: told.append(True)
    world.config_store.update({"num_nodes": 4, "policy": "RR"})
    assert told == [True]
    newest = world.journal.events(1)[0]
    assert newest["kind"] == "config-changed"
    changes = {"num_nodes": {"before": 1, "after": 4}, "policy": {"before": "LRU", "after": "RR"}}
    assert (newest["cause"], newest["changes"]) == ("by-hand", changes)
    assert newest["message"] == "The settings were changed: num_nodes = 4, policy = RR"
    world.config_store.update({"num_nodes": 4})
    assert told == [True]
    assert world.journal.events(1)[0]["id"] == newest["id"]


def test_a_bad_change_changes_nothing(world: World) -> None:
    before = world.store.stamp(), world.store.read().config, world.events()
    for changes in ({"num_nodes": 9}, {"num_nodes": 2, "cache_mb": -1}, {"max_miss": "nan"}, {"size": 1}):
        with pytest.raises(InvalidRequest):
            world.config_store.update(changes)
    assert (world.store.stamp(), world.store.read().config, world.events()) == before


@pytest.mark.parametrize(
    ("kept", "nodes"),
    [({}, 3), ({"num_nodes": 99}, 8), ({"num_nodes": -1}, 1), ({"num_nodes": "x"}, 3), ({"num_nodes": None}, 3)],
)
def test_whatever_is_kept_gives_a_size_that_can_be(kept: dict[str, object], nodes: int) -> None:
    assert kept_config(kept, FIRST).num_nodes == nodes


def test_a_nan_is_left_for_the_policy_to_judge() -> None:
    assert math.isnan(kept_config({"max_miss": math.nan}, FIRST).max_miss)


def test_the_resize_under_way_is_known_from_the_journal(world: World) -> None:
    world.run_until_settled_on(0)
    assert world.journal.under_way() is None
    opened = open_resize(world.map, alternating(2))
    change = MapChange("open", opened, "A test wants it.")
    assert world.store.compare_and_set_map(1, opened, world.journal.record(change, world.map, 2))
    row = world.journal.under_way()
    assert row is not None
    assert (row["state"], row["epoch"], row["wanted"], row["from"], row["to"]) == ("open", 2, 2, [0], [0, 1])
    assert row["finished_at"] is None


def test_map_and_journal_change_together_or_not_at_all(world: World) -> None:
    world.run_until_settled_on(0)
    before = len(world.journal.resizes(10)), world.events()
    opened = open_resize(world.map, alternating(2))
    journal = world.journal.record(MapChange("open", opened, "Too late."), world.map, 2)
    world.store.check = lambda _before, _after: None
    assert not world.store.compare_and_set_map(99, opened, journal)
    assert (len(world.journal.resizes(10)), world.events()) == before


def test_when_the_last_resize_ended(world: World) -> None:
    assert world.journal.last_finished_at() is None
    world.run_until_settled_on(0)
    assert world.journal.last_finished_at() == world.journal.resizes(1)[0]["finished_at"]


def test_records_come_newest_first_and_in_pages(world: World) -> None:
    world.journal.note(*(Event("open", reason=f"event {number}") for number in range(10)))
    first = world.journal.events(4)
    assert [event["reason"] for event in first] == ["event 9", "event 8", "event 7", "event 6"]
    assert [event["reason"] for event in world.journal.events(2, first[-1]["id"])] == ["event 5", "event 4"]


def test_the_oldest_records_are_forgotten(world: World) -> None:
    with world.engine.begin() as connection:
        for number in range(20):
            append(connection, pool_events, 5, at=0.0, kind="test", message=str(number))
        assert connection.execute(select(func.count()).select_from(pool_events)).scalar_one() == 5


def test_nothing_to_note_writes_nothing(world: World) -> None:
    world.journal.note()
    assert world.events() == ["config-changed"]


def test_an_error_is_a_record_too(world: World) -> None:
    log = DecisionLog(world.engine, world.clock)
    log.add_error(3, "No metrics.")
    (kept,) = log.list(5)
    assert (kept["action"], kept["nodes_before"], kept["reason"], kept["inputs"]) == ("error", 3, "No metrics.", {})


def test_the_first_map_is_a_resize_that_is_done(world: World) -> None:
    world.scale(2)
    world.run_until_settled_on(0, 1)
    (row,) = world.journal.resizes(5)
    assert (row["from"], row["to"], row["outcome"], row["epoch"]) == (
        [],
        [0, 1],
        "done",
        first_map(alternating(2)).epoch,
    )
    assert resizes.name == "resizes"
