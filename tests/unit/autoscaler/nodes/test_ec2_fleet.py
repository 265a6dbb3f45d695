"""What follows from what EC2 says: who counts as alive, and who is one too many."""

from __future__ import annotations

from elastic_images.autoscaler.nodes.ec2.calls import Instance, slot_of
from elastic_images.autoscaler.nodes.ec2.fleet import ABSENT_SECONDS, UNHEARD_SECONDS, Fleet, Launch


def instance(id_: str, slot: int | None = 0, state: str = "running", launched_at: float = 0.0) -> Instance:
    return Instance(id_, "pool", slot, f"launch-of-{id_}", state, launched_at)


def test_every_state_but_the_end_counts_as_alive() -> None:
    fleet = Fleet()
    for state in ("pending", "running", "shutting-down", "stopping", "something new"):
        fleet.see([instance("i-1", state=state)], 0.0)
        assert fleet.alive() == {0}, state
    for state in ("stopped", "terminated"):
        fleet.see([instance("i-1", state=state)], 0.0)
        assert fleet.alive() == frozenset(), state


def test_the_end_is_the_end() -> None:
    fleet = Fleet()
    fleet.see([instance("i-1", state="terminated")], 0.0)
    fleet.see([instance("i-1", state="running")], 1.0)
    assert fleet.alive() == frozenset(), "that list was an old one"


def test_what_a_list_leaves_out_counts_for_long() -> None:
    fleet = Fleet()
    fleet.see([instance("i-1")], 0.0)
    fleet.see([], ABSENT_SECONDS - 1)
    assert fleet.alive() == {0}
    assert fleet.unseen([]) == ["i-1"], "it is asked for by its id"
    fleet.see([], ABSENT_SECONDS)
    assert fleet.alive() == frozenset()


def test_a_launch_counts_until_its_outcome_is_known() -> None:
    fleet = Fleet()
    launch = Launch(2, "l", tried_at=10.0)
    fleet.begin(launch)
    fleet.see([], 1000.0)
    assert fleet.alive() == {2}, "it is still being asked for"
    launch.abandoned = True
    fleet.see([], 10.0 + UNHEARD_SECONDS - 1)
    assert fleet.alive() == {2}
    fleet.see([], 10.0 + UNHEARD_SECONDS)
    assert fleet.alive() == frozenset()


def test_what_was_cancelled_and_launched_nevertheless_is_told() -> None:
    fleet = Fleet()
    launch = Launch(2, "launch-of-i-1", tried_at=0.0, cancelled=True, abandoned=True)
    fleet.begin(launch)
    came = instance("i-1", 2)
    assert fleet.see([came, instance("i-2", 3)], 1.0) == [came]
    assert fleet.alive() == {2, 3}


def test_one_instance_of_a_slot_is_dead_and_the_other_is_not() -> None:
    fleet = Fleet()
    fleet.see([instance("i-1", state="terminated"), instance("i-2")], 0.0)
    assert fleet.alive() == {0}
    assert fleet.surplus() == {}


def test_who_is_one_too_many() -> None:
    fleet = Fleet()
    fleet.see(
        [
            instance("i-1", 0, launched_at=5.0),
            instance("i-2", 0, launched_at=4.0),
            instance("i-3", 0, "shutting-down", launched_at=1.0),
            instance("i-4", 1, "stopped"),
            instance("i-5", None),
            instance("i-6", 2, "pending"),
            instance("i-7", 3, "terminated"),
        ],
        0.0,
    )
    assert fleet.surplus().keys() == {"i-1", "i-4", "i-5"}


def test_what_names_a_slot() -> None:
    assert [slot_of(tag) for tag in ("0", "7", "8", "-1", "", "00", "x", "²")] == [0, 7, *[None] * 6]
