from __future__ import annotations

from collections.abc import Set

from elastic_images.autoscaler.nodes.process_history import ProcessHistory
from elastic_images.core.events import Event


class Life:
    """One slot's life, told moment by moment."""

    def __init__(self) -> None:
        self.lives = ProcessHistory()
        self.now = 0.0

    def see(self, state: str, seconds: float = 0.0) -> list[Event]:
        self.now += seconds
        running: Set[int] = set() if state == "gone" else {0}
        live: Set[int] = {0} if state in ("live", "healthy") else set()
        healthy: Set[int] = {0} if state == "healthy" else set()
        return self.lives.observe(running, live, healthy, self.now)

    def start(self) -> None:
        self.lives.launched(0, self.now)

    def die(self) -> None:
        self.start()
        self.see("gone")


def test_it_tells_when_a_node_is_ready_and_when_it_ended() -> None:
    life = Life()
    life.start()
    assert life.see("silent", 0.5) == []
    assert life.see("healthy", 0.5) == [Event("node-ready", 0)]
    assert life.see("healthy", 0.5) == []
    assert 0 in life.lives.ready()
    assert life.see("gone", 0.5) == [Event("node-died", 0)]
    assert 0 not in life.lives.ready()


def test_the_first_death_is_followed_by_a_start_at_once_and_later_ones_by_longer_pauses() -> None:
    life = Life()
    pauses = []
    for _ in range(9):
        life.die()
        began = life.now
        while 0 not in life.lives.startable(life.now):
            life.now += 0.5
        pauses.append(life.now - began)
    assert pauses == [0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_slot_that_failed_twice_is_not_waited_for() -> None:
    life = Life()
    assert 0 in life.lives.awaited()
    life.die()
    assert 0 in life.lives.awaited()
    life.die()
    assert 0 not in life.lives.awaited()


def test_a_node_that_ran_well_for_a_minute_starts_afresh() -> None:
    life = Life()
    life.die()
    life.die()
    life.start()
    life.see("healthy")
    life.see("healthy", 59)
    assert 0 not in life.lives.awaited()
    life.see("healthy", 1)
    assert 0 in life.lives.awaited()


def test_a_change_of_the_settings_ends_every_pause() -> None:
    life = Life()
    for _ in range(5):
        life.die()
    assert 0 not in life.lives.startable(life.now)
    life.lives.retry_at_once()
    assert 0 in life.lives.startable(life.now)


def test_a_process_that_never_gets_ready_is_overdue() -> None:
    life = Life()
    life.start()
    life.see("live", 29.9)
    assert life.lives.overdue(life.now) == frozenset()
    life.see("live", 0.1)
    assert life.lives.overdue(life.now) == {0}
    life.lives.killed(0)
    assert life.lives.overdue(life.now) == frozenset()
    life.see("gone")
    life.die()
    assert 0 not in life.lives.awaited()


def test_a_node_without_a_live_incarnation_is_overdue_sooner() -> None:
    life = Life()
    life.start()
    life.see("healthy", 1)
    life.see("live", 100)
    assert life.lives.overdue(life.now) == frozenset()
    life.see("silent", 1)
    life.see("silent", 9.9)
    assert life.lives.overdue(life.now) == frozenset()
    assert 0 not in life.lives.awaited()
    life.see("silent", 0.1)
    assert life.lives.overdue(life.now) == {0}


def test_a_stop_that_was_meant_is_no_failure() -> None:
    life = Life()
    for _ in range(3):
        life.start()
        life.see("healthy")
        life.lives.told_to_stop(0)
        assert life.lives.stopping() == {0}
        assert life.lives.ready() == frozenset()
        life.see("gone")
    assert 0 in life.lives.awaited()
    assert 0 in life.lives.startable(life.now)


def test_a_node_that_nobody_wants_lingers_and_one_that_never_served_does_not() -> None:
    life = Life()
    life.start()
    assert life.lives.lingered({0}, life.now) == {0}
    life.see("healthy")
    assert life.lives.lingered(set(), life.now) == frozenset()
    assert life.lives.lingered({0}, life.now) == frozenset()
    assert life.lives.lingered({0}, life.now + 1.9) == frozenset()
    assert life.lives.lingered(set(), life.now + 1.95) == frozenset()
    assert life.lives.lingered({0}, life.now + 2.0) == frozenset()
    assert life.lives.lingered({0}, life.now + 4.0) == {0}
