from __future__ import annotations

import logging
import threading

import pytest
from sqlalchemy import text
from tests.unit.autoscaler.world import World

from elastic_images.autoscaler.nodes.process_history import ProcessHistory
from elastic_images.autoscaler.resizer import Resizer, ResizerStatus, resizer_loop


class Troubled(Resizer):
    """Fails as often as told, then works."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.works = threading.Event()
        self._acted = False
        self._status = ResizerStatus(busy=False)

    def step(self) -> bool:
        if self.failures > 0:
            self.failures -= 1
            raise RuntimeError("trouble")
        self.works.set()
        return False


def test_it_goes_on_after_a_round_that_failed_and_tells_of_it_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "elastic_images")
    resizer = Troubled(3)
    loop = resizer_loop(resizer)
    loop.start()
    while not resizer.works.wait(0.01):
        loop.wake()
    loop.stop()
    told = [record.getMessage() for record in caplog.records]
    assert told == ["resizer failed: trouble", "resizer works again"]


def test_it_stops_at_once_and_only_if_it_was_started() -> None:
    loop = resizer_loop(Troubled(0))
    loop.stop()
    loop = resizer_loop(Troubled(0))
    loop.start()
    loop.stop()
    assert not loop._thread.is_alive()


def test_it_hurries_while_there_is_something_to_do(world: World) -> None:
    pauses = set()
    step = world.resizer.step

    def watched() -> bool:
        acted = step()
        pauses.add((acted, world.resizer.status.busy, world.resizer.pause_seconds))
        return acted

    world.resizer.step = watched  # type: ignore[method-assign]
    for number in range(300):
        if number == 200:
            world.provider.muted.add(1)
            world.scale(2)
        world.tick()
    assert {pause for acted, _, pause in pauses if acted} == {0.0}
    assert {pause for acted, busy, pause in pauses if not acted and busy} == {0.03}
    assert {pause for acted, busy, pause in pauses if not acted and not busy} == {0.25}


def test_a_change_of_the_settings_ends_the_wait_before_a_retry_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run_until_settled_on(0)
    retries: list[bool] = []
    monkeypatch.setattr(ProcessHistory, "retry_at_once", lambda _history: retries.append(True))
    world.resizer.step()
    assert not retries
    world.config_store.update({"num_nodes": 2})
    world.resizer.step()
    world.resizer.step()
    assert retries == [True]


def test_a_database_that_is_gone_for_a_while_loses_nothing(world: World) -> None:
    world.run_until_settled_on(0)
    with world.engine.begin() as connection:
        connection.execute(text("ALTER TABLE pool_state RENAME TO gone"))
    loop = resizer_loop(world.resizer)
    assert loop._call() == 1.0
    with world.engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO pool_state"))
    assert loop._call() < 1.0
    world.scale(2)
    world.run_until_settled_on(0, 1)
