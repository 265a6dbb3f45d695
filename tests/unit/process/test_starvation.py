"""The clock that hardly runs while its process is starved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testing.clock import Clock
from testing.waiting import wait_for

from elastic_images.process.starvation import TICK_SECONDS, PatientClock


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


def test_it_keeps_real_time_until_it_is_started(clock: Clock) -> None:
    patient = PatientClock(clock)
    assert patient() == 100.0
    clock.now += 1_000
    assert patient() == 1_100.0


def test_ticks_on_time_count_whole(clock: Clock) -> None:
    patient = PatientClock(clock)
    patient.tick()
    for _ in range(20):
        clock.now += TICK_SECONDS
        patient.tick()
    assert patient() == pytest.approx(101.0)


def test_late_ticks_count_a_tenth(clock: Clock) -> None:
    patient = PatientClock(clock)
    patient.tick()
    for _ in range(20):
        clock.now += 0.5
        patient.tick()
    assert patient() == pytest.approx(101.0)
    clock.now += TICK_SECONDS
    patient.tick()
    assert patient() == pytest.approx(101.0 + TICK_SECONDS), "it runs on as soon as ticks are on time"


def test_a_tick_that_is_overdue_is_late_already(clock: Clock) -> None:
    patient = PatientClock(clock)
    patient.tick()
    clock.now += 10.0
    assert patient() == pytest.approx(101.0)


@given(steps=st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=60))
def test_it_never_runs_faster_than_real_time_nor_backwards_nor_below_a_tenth(steps: list[tuple[float, bool]]) -> None:
    clock = Clock(100.0)
    patient = PatientClock(clock)
    patient.tick()
    before, began = patient(), clock.now
    for seconds, ticks in steps:
        clock.now += seconds
        if ticks:
            patient.tick()
        now = patient()
        assert now >= before
        assert now - 100.0 <= clock.now - began + 1e-6
        assert now - 100.0 >= 0.1 * (clock.now - began) - 1e-6
        before = now


def test_its_thread_ticks_and_ends() -> None:
    patient = PatientClock()
    patient.stop()
    patient = PatientClock()
    patient.start()
    began = patient()
    wait_for(lambda: patient() > began, "it runs")
    patient.stop()
    assert not patient._thread.is_alive()
