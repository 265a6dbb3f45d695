"""The resizer on a simulated pool: every map change is checked by `World` against what nodes may truly answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.autoscaler.world import World

from elastic_images.autoscaler.loss_bound import WINDOW_SECONDS
from elastic_images.core.assignment import alternating, minimal, moves
from elastic_images.core.pool_map import PoolMap, abort_resize, close_resize, fail_over, first_map, open_resize, settle
from elastic_images.pool.view import PoolView


class NeverWarm:
    def warmed(self, view: PoolView, open_seconds: float) -> bool:  # noqa: ARG002
        return False


def test_a_new_pool_gets_its_first_map_when_its_nodes_are_up(world: World) -> None:
    world.scale(3)
    world.run_until_settled_on(0, 1, 2)
    assert world.map == first_map(alternating(3))


@pytest.mark.parametrize("sizes", [(1, 2), (1, 8), (8, 1), (4, 3), (3, 7)])
def test_a_resize_settles_on_the_wanted_size(world: World, sizes: tuple[int, int]) -> None:
    before, after = sizes
    world.scale(before)
    world.run_until_settled_on(*range(before))
    world.scale(after)
    world.run_until_settled_on(*range(after))
    assert world.map.assignment == alternating(after)
    assert [step.phase for step in world.seen] == ["settled", "open", "closing", "settled"]
    newest = world.journal.resizes(1)[0]
    assert newest["state"] == "finished"
    assert newest["outcome"] == "done"
    assert newest["from"] == list(range(before))
    assert newest["to"] == list(range(after))
    assert newest["epoch"] == world.map.epoch
    assert newest["finished_at"] is not None
    assert newest["started_at"] < newest["finished_at"]


def test_the_minimal_assignment_moves_no_more_than_it_must(world: World) -> None:
    world.scale(4)
    world.run_until_settled_on(0, 1, 2, 3)
    world.config_store.update({"assignment": "minimal", "num_nodes": 5})
    world.run_until_settled_on(0, 1, 2, 3, 4)
    assert world.map.assignment == minimal(alternating(4), 5)
    assert moves(alternating(4), world.map.assignment) == 3
    world.config_store.update({"assignment": "alternating"})
    world.run_until(lambda: world.map.assignment == alternating(5))


def test_an_idle_pool_resizes_in_well_under_a_second(world: World) -> None:
    world.run_until_settled_on(0)
    world.scale(2)
    assert world.run_until_settled_on(0, 1) < 0.5


def test_nodes_of_a_scale_out_are_launched_together(world: World) -> None:
    world.run_until_settled_on(0)
    world.scale(8)
    world.tick()
    assert sorted(world.provider.launches) == list(range(8))


def test_a_settled_pool_is_left_alone(world: World) -> None:
    world.run_until_settled_on(0)
    world.run_until(lambda: not world.resizer.status.busy)
    before = world.store.stamp(), world.events()
    for _ in range(100):
        world.tick()
    assert (world.store.stamp(), world.events()) == before


def test_a_retired_node_stays_for_a_moment_and_is_then_stopped(world: World) -> None:
    world.scale(2)
    world.run_until_settled_on(0, 1)
    world.scale(1)
    world.run_until(lambda: world.map.phase == "settled" and set(world.map.assignment) == {0})
    assert set(world.provider.nodes) == {0, 1}
    assert 1.0 < world.run_until_settled_on(0) < 4.0


def test_a_dead_node_is_failed_over_at_once_and_taken_back(world: World) -> None:
    world.scale(4)
    world.run_until_settled_on(0, 1, 2, 3)
    world.provider.broken.add(2)
    world.kill(2)
    passed = world.run_until(lambda: 2 not in world.map.slots)
    assert passed < 0.5
    assert {world.map.assignment[partition] for partition in (2, 6, 10, 14)} <= {0, 1, 3}
    world.provider.broken.clear()
    world.run_until_settled_on(0, 1, 2, 3)
    assert world.map.assignment == alternating(4)
    reasons = [row["reason"] for row in world.journal.resizes(10)]
    assert any("node 2 died" in reason for reason in reasons)
    assert {"node-died", "node-dead", "fail-over"} <= set(world.events())


def test_a_launch_that_fails_later_is_told_and_the_pool_goes_on_with_what_it_has(world: World) -> None:
    world.scale(2)
    world.run_until_settled_on(0, 1)
    world.provider.late.add(2)
    world.scale(4)
    world.run_until(lambda: world.map.phase == "settled" and world.map.slots == {0, 1, 3}, 60)
    told = [event["reason"] for event in world.journal.events(500) if event["kind"] == "node-not-launched"]
    assert told
    assert set(told) == {"no capacity"}
    assert "node-died" not in world.events(), "it never lived"
    assert len(told) == world.provider.launches.count(2), "each failure once"
    world.provider.late.clear()
    world.run_until(lambda: world.settled_on(0, 1, 2, 3), 60)


def test_the_only_node_keeps_its_partitions_over_its_death(world: World) -> None:
    world.run_until_settled_on(0)
    epoch = world.map.epoch
    world.kill(0)
    world.run_until(lambda: 0 in world.provider.nodes and world.resizer.status.ready == {0})
    assert world.map.epoch == epoch


def test_a_pool_that_died_whole_is_waited_for(world: World) -> None:
    world.scale(4)
    world.run_until_settled_on(0, 1, 2, 3)
    epoch = world.map.epoch
    world.provider.nodes.clear()
    world.restart()
    world.run_until(lambda: world.resizer.status.ready == {0, 1, 2, 3})
    for _ in range(5):
        world.tick()
    assert world.map.epoch == epoch


def test_a_node_that_cannot_be_started_leaves_the_others_serving(world: World) -> None:
    world.provider.doomed.add(2)
    world.scale(4)
    world.run_until(lambda: world.settled_on(0, 1, 3))
    assert world.provider.launches.count(2) >= 2
    world.provider.doomed.clear()
    world.run_until_settled_on(0, 1, 2, 3)


def test_starts_that_fail_are_tried_ever_more_rarely(world: World) -> None:
    world.run_until_settled_on(0)
    world.provider.doomed.add(1)
    world.scale(2)
    for _ in range(int(100 / 0.05)):
        world.tick()
    assert 5 <= world.provider.launches.count(1) <= 10


def test_a_node_that_never_registers_is_given_up_and_blocks_nothing(world: World) -> None:
    world.provider.muted.add(1)
    world.scale(3)
    world.run_until(lambda: world.store.read().map is not None and set(world.map.assignment) == {0, 2}, 120)
    assert "node-killed" in world.events()


def test_the_newest_wish_wins(world: World) -> None:
    world.run_until_settled_on(0)
    for size in (8, 3, 5, 2):
        world.scale(size)
        world.tick()
    world.run_until_settled_on(0, 1)


def test_a_newer_wish_aborts_a_resize_that_is_still_warming(tmp_path: Path) -> None:
    world = World(tmp_path, warmer=NeverWarm())
    world.run_until_settled_on(0)
    world.scale(2)
    world.run_until(lambda: world.map.phase == "open")
    world.scale(1)
    world.run_until_settled_on(0)
    assert world.journal.resizes(1)[0]["outcome"] == "aborted"
    assert world.map.assignment == alternating(1)
    world.close()


def test_a_destination_that_dies_while_warming_gives_its_partitions_back(tmp_path: Path) -> None:
    world = World(tmp_path, warmer=NeverWarm())
    world.run_until_settled_on(0)
    world.scale(2)
    world.run_until(lambda: world.map.phase == "open")
    world.provider.broken.add(1)
    world.kill(1)
    world.run_until(lambda: world.map.phase == "settled")
    assert world.map.assignment == alternating(1)
    world.close()


@pytest.mark.parametrize("slot", [0, 1])
def test_a_hung_node_does_not_block_a_resize(world: World, slot: int) -> None:
    world.scale(2)
    world.run_until_settled_on(0, 1)
    world.provider.nodes[slot].hung = True
    world.scale(3)
    world.run_until(lambda: world.settled_on(0, 1, 2), 90)
    assert {"node-fenced", "node-dead", "node-killed"} <= set(world.events())


def test_a_hung_node_is_not_skipped_before_its_lease_is_over(world: World) -> None:
    world.scale(2)
    world.run_until_settled_on(0, 1)
    world.scale(1)
    world.run_until(lambda: world.map.phase == "open")
    world.provider.nodes[1].hung = True
    passed = world.run_until(lambda: world.map.phase == "settled")
    assert 4.4 < passed < 7.0


def test_the_others_serve_for_a_hung_node_before_it_is_dead(world: World) -> None:
    world.scale(4)
    world.run_until_settled_on(0, 1, 2, 3)
    world.provider.nodes[2].hung = True
    passed = world.run_until(lambda: 2 not in world.map.assignment)
    # The health of this world takes 1.6 s to be sure.
    assert passed < 2.3
    assert world.map.phase == "closing"
    assert world.run_until(lambda: world.map.phase == "settled") > 3.0


def test_nodes_that_fall_silent_together_are_given_up_one_after_the_other(world: World) -> None:
    world.scale(4)
    world.run_until_settled_on(0, 1, 2, 3)
    for slot in (1, 2, 3):
        world.provider.nodes[slot].hung = True
    world.run_until(lambda: set(world.map.assignment) == {0, 2, 3})
    passed = world.run_until(lambda: set(world.map.assignment) != {0, 2, 3})
    assert passed > WINDOW_SECONDS / 2
    assert len(set(world.map.assignment)) >= 2, "not both at once"
    assert world.events().count("node-fenced") == 2
    world.run_until(lambda: world.settled_on(0, 1, 2, 3), 120)


def test_what_writers_fenced_leaves_the_map_one_after_the_other_too(world: World) -> None:
    world.scale(4)
    world.run_until_settled_on(0, 1, 2, 3)
    for slot in (1, 2, 3):
        world.provider.nodes[slot].hung = True
        world.store.fence(world.provider.nodes[slot].incarnation)
    world.run_until(lambda: set(world.map.assignment) == {0, 2, 3})
    assert world.run_until(lambda: set(world.map.assignment) != {0, 2, 3}) > WINDOW_SECONDS / 2
    world.run_until(lambda: world.settled_on(0, 1, 2, 3), 120)


def test_nodes_whose_processes_died_together_are_replaced_at_once(world: World) -> None:
    world.scale(4)
    world.run_until_settled_on(0, 1, 2, 3)
    for slot in (1, 2, 3):
        world.kill(slot)
    assert world.run_until(lambda: set(world.map.assignment) == {0}) < 1.0
    world.run_until_settled_on(0, 1, 2, 3)


def test_a_node_that_was_fenced_by_mistake_comes_back_by_itself(world: World) -> None:
    world.scale(2)
    world.run_until_settled_on(0, 1)
    old = world.provider.nodes[1].incarnation
    world.store.fence(old)
    world.run_until(lambda: world.provider.nodes[1].incarnation != old)
    for _ in range(200):
        world.tick()
    assert world.provider.launches.count(1) == 1
    assert world.map.epoch == first_map(alternating(2)).epoch


def maps_of_a_resize(before: int, after: int) -> dict[str, PoolMap]:
    """Every map that a crash may leave behind on the way from one size to another."""
    settled = first_map(alternating(before))
    opened = open_resize(settled, alternating(after))
    closed = close_resize(opened)
    aborted = abort_resize(opened)
    survivors = tuple(0 for _ in range(16))
    return {
        "settled": settled,
        "open": opened,
        "closing": closed,
        "done": settle(closed),
        "aborting": aborted,
        "aborted": settle(aborted),
        "failed over while open": fail_over(opened, {max(before, after) - 1}, survivors),
        "failed over while closing": fail_over(closed, {max(before, after) - 1}, survivors),
        "failed over": fail_over(settled, {before - 1}, survivors),
    }


@pytest.mark.parametrize(
    ("processes", "wanted"), [("alive", 2), ("dead", 4), ("first dead", 4), ("last dead", 2), ("all slots alive", 3)]
)
@pytest.mark.parametrize("state", list(maps_of_a_resize(2, 4)))
@pytest.mark.parametrize("sizes", [(2, 4), (4, 2)])
def test_a_fresh_resizer_goes_on_from_any_map(
    tmp_path: Path, state: str, wanted: int, processes: str, sizes: tuple[int, int]
) -> None:
    left_behind = maps_of_a_resize(*sizes)[state]
    world = World(tmp_path, wanted=wanted)
    slots = {"alive": left_behind.slots, "dead": set(), "first dead": left_behind.slots - {0}}.get(
        processes, left_behind.slots - {3} if processes == "last dead" else set(range(8))
    )
    for slot in slots:
        world.provider.launch(slot)
        world.live(world.provider.nodes[slot], world.store.read())
    assert world.store.compare_and_set_map(None, left_behind)
    world.run_until(lambda: world.settled_on(*range(wanted)) and world.map.assignment == alternating(wanted))
    world.close()


@pytest.mark.parametrize("crash_after", range(1, 12))
@pytest.mark.parametrize("sizes", [(1, 4), (4, 1)])
def test_a_crash_at_any_step_of_a_resize_is_finished_by_the_next_autoscaler(
    tmp_path: Path, crash_after: int, sizes: tuple[int, int]
) -> None:
    world = World(tmp_path, wanted=sizes[0])
    world.run_until_settled_on(*range(sizes[0]))
    world.scale(sizes[1])
    for _ in range(crash_after):
        world.tick()
    world.restart()
    world.run_until_settled_on(*range(sizes[1]))
    assert world.journal.under_way() is None
    assert world.journal.resizes(1)[0]["outcome"] == "done"
    world.close()


def test_where_an_empty_slot_is_no_proof_its_member_is_fenced_first(world: World) -> None:
    """As with EC2, whose lists are late: a node could be there that the provider does not know of yet."""
    world.scale(2)
    world.run_until_settled_on(0, 1)
    world.provider.proves_death = False
    world.kill(1)
    world.run_until(lambda: world.settled_on(0, 1) and "node-dead" in world.events(), 60)
    events = world.events()
    assert events.index("node-fenced") < events.index("node-dead")
