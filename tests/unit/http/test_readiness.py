"""When a process is ready, and checks that may hang."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError
from testing.clock import Clock
from testing.waiting import wait_for

from elastic_images.core.errors import InvalidRequest, Unavailable
from elastic_images.http.base_app import base_app
from elastic_images.http.readiness import Check, Probe, Readiness, ReadyGate, ask

FINE = Readiness(checks={"database": Check(ok=True, detail="Responding.")})
AWAY = Readiness(read=False, write=False, checks={"database": Check(ok=False, detail="The database does not answer.")})
FULL = Readiness(write=False, checks={"free_space": Check(ok=False, detail="1.0 MB free.")})


class Process:
    """A process whose state a test sets, and its app."""

    def __init__(self, now: Readiness = FINE, shared_seconds: float = 300.0) -> None:
        self.now, self.clock, self.ended = now, Clock(), False
        self.gate = ReadyGate(
            lambda: self.now, shared_seconds=shared_seconds, loops={"keeper": lambda: self.ended}, clock=self.clock
        )
        self.client = base_app("ready", ready=self.gate).test_client()

    def status(self, require: str = "") -> int:
        return self.client.get(f"/readyz{require and '?require=' + require}").status_code


def test_the_document_names_what_can_be_done_and_each_check() -> None:
    answer = Process(FULL).client.get("/readyz")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json() == {
        "read": True,
        "write": False,
        "checks": {
            "process": {"ok": True, "detail": "Serving."},
            "free_space": {"ok": False, "detail": "1.0 MB free."},
        },
    }
    assert Readiness.from_json(FULL.to_json()) == FULL


@pytest.mark.parametrize("text", [None, [], {}, {"read": True, "write": True}, {"checks": {"a": 1}}])
def test_another_document_is_refused(text: object) -> None:
    with pytest.raises(Unavailable):
        Readiness.from_json(text)


def test_it_is_not_ready_before_it_could_work_once() -> None:
    process = Process(AWAY)
    answer = process.client.get("/readyz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.get_json()["checks"]["process"]["ok"] is False
    process.now = FINE
    assert process.status() == 200


def test_trouble_of_others_counts_only_when_it_lasts() -> None:
    process = Process()
    assert process.status() == 200
    process.now = AWAY
    for passed in (0.0, 299.0):
        process.clock.now += passed
        assert (process.status(), process.status("read"), process.status("write")) == (200, 503, 503)
    process.now = FINE
    assert process.status() == 200
    process.now = AWAY
    assert process.status() == 200, "the time begins anew"
    process.clock.now += 300.0
    assert process.status() == 503
    process.now = FINE
    assert process.status() == 200


def test_with_no_patience_trouble_counts_at_once() -> None:
    process = Process(shared_seconds=0.0)
    assert process.status() == 200
    process.now = FULL
    assert (process.status(), process.status("read"), process.status("write")) == (503, 200, 503)


def test_require_takes_two_words() -> None:
    assert Process().status("delete") == 400
    with pytest.raises(InvalidRequest):
        Process().gate.judge("")


def test_a_process_that_stops_is_not_ready() -> None:
    process = Process()
    process.gate.drain()
    assert [process.status(require) for require in ("", "read", "write")] == [503] * 3
    assert process.client.get("/readyz").get_json()["checks"]["process"]["detail"] == "Stopping."


def test_a_loop_that_ended_makes_it_not_ready() -> None:
    process = Process()
    assert process.status() == 200
    process.ended = True
    assert process.status() == 503
    assert "keeper" in process.client.get("/readyz").get_json()["checks"]["process"]["detail"]


class Job:
    """What a probe runs: counted, held while `gate` is closed, and failing with `error`."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self) -> str:
        self.calls += 1
        assert self.gate.wait(60)
        if self.error is not None:
            raise self.error
        return f"call {self.calls}"


@contextmanager
def held(job: Job) -> Iterator[None]:
    job.gate.clear()
    try:
        yield
    finally:
        job.gate.set()


def test_a_result_is_kept_for_a_second() -> None:
    job, clock = Job(), Clock()
    probe = Probe("job", job, clock=clock, patience_seconds=60.0)
    assert [ask(job=probe)["job"].detail for _ in range(3)] == ["call 1"] * 3
    clock.now += 1.0
    assert ask(job=probe)["job"] == Check(ok=True, detail="call 2")


def test_a_check_that_hangs_is_waited_for_once_and_given_up_in_the_end() -> None:
    job, clock = Job(), Clock()
    probe = Probe("job", job, clock=clock, patience_seconds=0.01)
    with held(job):
        for _ in range(5):
            assert not ask(job=probe)["job"].ok
            clock.now += 2.0
        assert job.calls == 1
        assert ask(job=probe)["job"].detail.startswith("No answer")
        wait_for(lambda: job.calls == 2, "another try after 10 s")
        for _ in range(20):
            clock.now += 10.0
            ask(job=probe)
        wait_for(lambda: job.calls == 4, "a few tries hang at most")
        assert len([thread for thread in threading.enumerate() if thread.name == "check-job"]) == 4
    wait_for(lambda: ask(job=probe)["job"].ok, "it works again")


def test_checks_run_side_by_side() -> None:
    first, second = threading.Barrier(2), threading.Barrier(2)

    def meet() -> str:
        first.wait(60)
        second.wait(60)
        return "met"

    found = ask(one=Probe("one", meet, patience_seconds=60), two=Probe("two", meet, patience_seconds=60))
    assert [check.detail for check in found.values()] == ["met", "met"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Unavailable("The bucket is gone."), "The bucket is gone."),
        (OperationalError("SELECT 'secret'", {}, Exception("password")), "The database does not answer."),
        (ValueError("password"), "ValueError; the log has more."),
    ],
)
def test_a_failure_says_why_and_no_more(error: Exception, words: str, caplog: pytest.LogCaptureFixture) -> None:
    job, clock = Job(), Clock()
    probe = Probe("job", job, clock=clock, patience_seconds=60.0)
    with caplog.at_level(logging.INFO):
        assert ask(job=probe)["job"].ok
        job.error = error
        for _ in range(3):
            clock.now += 1.0
            assert ask(job=probe)["job"] == Check(ok=False, detail=words)
        job.error = None
        clock.now += 1.0
        assert ask(job=probe)["job"].ok
    told = [record.getMessage() for record in caplog.records if record.name.endswith("readiness")]
    assert told.count(f"check of job: {words}") == 1
    assert told[-1] == "check of job: call 5"
