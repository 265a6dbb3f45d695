"""Uploads that were refused: how many, why, and what the log says."""

from __future__ import annotations

import pytest
from testing.clock import Clock

from elastic_images.core.errors import NotAnImage, OutOfSpace, Unauthenticated
from elastic_images.storage.refusals import Refusals

FULL = OutOfSpace("There is too little disk space for uploads.")
TEXT = NotAnImage("This is no image.")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.set_level("INFO")
    return caplog.messages


def test_common_reasons_are_counted_from_zero_and_others_too() -> None:
    refusals = Refusals(Clock())
    assert set(refusals.totals().values()) == {0}
    for error in (FULL, FULL, TEXT, Unauthenticated("Who?")):
        refusals.note(error)
    totals = {reason: count for reason, count in refusals.totals().items() if count}
    assert totals == {"out-of-space": 2, "not-an-image": 1, "unauthenticated": 1}


def test_the_first_of_each_reason_is_logged_and_then_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    clock = Clock()
    refusals = Refusals(clock)
    for _ in range(5):
        refusals.note(FULL)
        refusals.note(TEXT)
    first = [f"upload refused, out-of-space: {FULL}", f"upload refused, not-an-image: {TEXT}"]
    assert caplog.messages == first
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    clock.now += 59.0
    refusals.log_waiting()
    assert caplog.messages == first
    clock.now += 1.0
    refusals.log_waiting()
    refusals.log_waiting()
    assert caplog.messages[2:] == [
        f"uploads refused, {reason}: 4 more since the last line" for reason in ("out-of-space", "not-an-image")
    ]
    caplog.clear()
    refusals.note(FULL)
    assert not caplog.messages, "a line was written within the minute"
    clock.now += 60.0
    refusals.note(FULL)
    assert caplog.messages == [f"upload refused, out-of-space: {FULL} (1 more before)"]


def test_the_last_hour_forgets() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    refusals.note(TEXT)
    clock.now += 1800.0
    refusals.note(FULL)
    refusals.note(FULL)
    assert list(refusals.last_hour().items()) == [("out-of-space", 2), ("not-an-image", 1)]
    clock.now += 1860.0
    assert refusals.last_hour() == {"out-of-space": 2}
    clock.now += 1800.0
    assert refusals.last_hour() == {}
    assert refusals.totals()["out-of-space"] == 2
