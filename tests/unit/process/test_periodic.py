"""A job that is done again and again, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from elastic_images.core.errors import Unavailable
from elastic_images.process.periodic import PeriodicLoop

_LONG = 600.0
_WAIT_SECONDS = 60.0


class _Job:
    """Raises `failures` on its first calls, and counts all calls."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self._called = threading.Semaphore(0)
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        self._called.release()
        if self._failures:
            raise self._failures.pop(0)

    def wait(self, calls: int = 1) -> None:
        for _ in range(calls):
            assert self._called.acquire(timeout=_WAIT_SECONDS)


def _threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_it_works_at_once_and_then_at_the_interval() -> None:
    job = _Job()
    loop = PeriodicLoop("worker", job, 0.001)
    loop.start()
    job.wait(5)
    loop.stop()
    assert not _threads("worker")


def test_the_first_call_can_wait() -> None:
    job = _Job()
    loop = PeriodicLoop("worker", job, _LONG, delay_seconds=_LONG)
    loop.start()
    time.sleep(0.05)
    assert job.calls == 0
    loop.wake()
    job.wait()
    loop.stop()


def test_stopping_before_the_start_does_nothing_and_later_ends_a_pause() -> None:
    job = _Job()
    PeriodicLoop("worker", job, _LONG).stop()
    assert job.calls == 0
    loop = PeriodicLoop("worker", job, _LONG)
    loop.start()
    job.wait()
    loop.stop()
    assert not _threads("worker")
    assert job.calls == 1


def test_a_wake_ends_a_pause_and_is_not_lost_while_the_job_runs() -> None:
    running, go_on = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        running.set()
        assert go_on.acquire(timeout=_WAIT_SECONDS)

    loop = PeriodicLoop("worker", work, _LONG)
    loop.start()
    assert running.wait(_WAIT_SECONDS)
    running.clear()
    loop.wake()  # while the job runs
    go_on.release()
    assert running.wait(_WAIT_SECONDS)
    running.clear()
    go_on.release()
    loop.wake()
    assert running.wait(_WAIT_SECONDS)
    go_on.release()
    loop.stop()
    assert not _threads("worker")


def test_the_interval_may_depend_on_the_call_before() -> None:
    job = _Job()
    loop = PeriodicLoop("worker", job, lambda: 0.0 if job.calls < 3 else _LONG)
    loop.start()
    job.wait(3)
    time.sleep(0.05)
    loop.stop()
    assert job.calls == 3


def test_failures_are_logged_once_and_do_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Unavailable("the caches do not respond")
    job = _Job(trouble, trouble, RuntimeError("a bug"))
    loop = PeriodicLoop("worker", job, 0.001)
    with caplog.at_level(logging.INFO):
        loop.start()
        job.wait(5)
        loop.stop()
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["worker failed: the caches do not respond", "worker failed: a bug", "worker works again"]
    assert not caplog.records[0].exc_info, "an expected error needs no traceback"
    assert caplog.records[1].exc_info


def test_a_failure_has_its_own_pause() -> None:
    job = _Job(Unavailable("not yet"))
    loop = PeriodicLoop("worker", job, _LONG, retry_seconds=0.001)
    loop.start()
    job.wait(2)
    loop.stop()
