from __future__ import annotations

import logging
import threading

import pytest
from sqlalchemy import text
from tests.unit.autoscaler.world import World

from elastic_images.autoscaler.alarm import Alarm
from elastic_images.autoscaler.resizer import Resizer, ResizerStatus
from elastic_images.autoscaler.resizer_loop import ResizerLoop


class Troubled(Resizer):
    """Fails as often as told, then works."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.works = threading.Event()
        self.adopted = False
        self._status = ResizerStatus(busy=False)

    def adopt(self) -> None:
        self.adopted = True

    def step(self) -> bool:
        if self.failures > 0:
            self.failures -= 1
            raise RuntimeError("trouble")
        self.works.set()
        return False


def test_it_goes_on_after_a_round_that_failed_and_tells_of_it_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "elastic_images.autoscaler")
    resizer, alarm = Troubled(3), Alarm()
    loop = ResizerLoop(resizer, alarm)
    loop.start()
    while not resizer.works.wait(0.01):
        alarm.wake()
    loop.stop()
    assert resizer.adopted
    told = [record.getMessage() for record in caplog.records]
    assert told == ["a round of the resizer failed: trouble", "the resizer works again"]


def test_it_stops_at_once_and_only_if_it_was_started() -> None:
    loop = ResizerLoop(Troubled(0), Alarm())
    loop.stop()
    loop = ResizerLoop(Troubled(0), Alarm())
    loop.start()
    loop.stop()
    assert not loop._thread.is_alive()


def test_a_wish_is_taken_once() -> None:
    alarm = Alarm()
    assert not alarm.take_wish()
    alarm.wish()
    assert alarm.take_wish()
    assert not alarm.take_wish()
    alarm.wait(0)


def test_a_database_that_is_gone_for_a_while_loses_nothing(world: World) -> None:
    world.run_until_settled_on(0)
    with world.engine.begin() as connection:
        connection.execute(text("ALTER TABLE pool_state RENAME TO gone"))
    loop = ResizerLoop(world.resizer, Alarm())
    assert loop._step() == 1.0
    with world.engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO pool_state"))
    assert loop._step() < 1.0
    world.scale(2)
    world.run_until_settled_on(0, 1)
