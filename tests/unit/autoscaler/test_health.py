from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from testing.clock import Clock
from testing.waiting import wait_for

from elastic_images.autoscaler.health import INTERVAL_SECONDS, HealthWatch
from elastic_images.pool.view import Member

NODE = Member("incarnation-0", "node-0", "node", "a:1", "a:2")


class Patient:
    """Answers as told; counts the questions."""

    def __init__(self) -> None:
        self.answers = True
        self.breaks = False
        self.failures_to_come = 0
        self.asked: list[bool] = []

    def __call__(self, member: Member, first: bool) -> bool:  # noqa: ARG002
        self.asked.append(first)
        if self.breaks:
            raise RuntimeError("broken probe")
        if self.failures_to_come:
            self.failures_to_come -= 1
            return False
        return self.answers


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def watch(clock: Clock, patient: Patient) -> Iterator[HealthWatch]:
    made = HealthWatch(patient, clock=clock)
    yield made
    made.close()


def ask(watch: HealthWatch, patient: Patient) -> None:
    """One question and its answer."""
    before = len(patient.asked)
    watch.observe([NODE])
    wait_for(lambda: len(patient.asked) > before and not watch._checks[NODE.incarnation].under_way)


def test_one_that_answers_is_healthy_from_then_on(watch: HealthWatch, patient: Patient, clock: Clock) -> None:
    assert not watch.healthy(NODE.incarnation)
    ask(watch, patient)
    assert watch.healthy(NODE.incarnation)
    clock.now += 1.0
    ask(watch, patient)
    assert patient.asked == [True, False]


def test_it_is_not_asked_more_often_than_it_must(watch: HealthWatch, patient: Patient, clock: Clock) -> None:
    ask(watch, patient)
    clock.now += 0.8 * INTERVAL_SECONDS
    watch.observe([NODE])
    assert not watch._checks[NODE.incarnation].under_way
    assert len(patient.asked) == 1


@pytest.mark.parametrize("breaks", [False, True])
def test_one_that_stops_answering_is_a_suspect_after_a_while(
    watch: HealthWatch, patient: Patient, clock: Clock, breaks: bool
) -> None:
    ask(watch, patient)
    patient.answers, patient.breaks = False, breaks
    clock.now += 1.0
    ask(watch, patient)
    assert watch.healthy(NODE.incarnation)
    assert watch.suspects() == frozenset()
    clock.now += 1.5
    assert watch.suspects() == {NODE.incarnation}
    assert not watch.healthy(NODE.incarnation)
    patient.answers, patient.breaks = True, False
    ask(watch, patient)
    assert watch.suspects() == frozenset()
    assert watch.healthy(NODE.incarnation)


def test_one_question_that_fails_is_asked_again_at_once(watch: HealthWatch, patient: Patient, clock: Clock) -> None:
    ask(watch, patient)
    patient.failures_to_come = 1
    clock.now += 1.0
    ask(watch, patient)
    clock.now += 10.0
    assert len(patient.asked) == 3
    assert watch.suspects() == frozenset()


def test_one_that_has_never_answered_has_longer(watch: HealthWatch, patient: Patient, clock: Clock) -> None:
    patient.answers = False
    ask(watch, patient)
    clock.now += 4.9
    assert watch.suspects() == frozenset()
    clock.now += 0.2
    assert watch.suspects() == {NODE.incarnation}


def test_it_is_news_that_one_does_not_answer(clock: Clock, patient: Patient) -> None:
    told: list[bool] = []
    watch = HealthWatch(patient, on_news=lambda: told.append(patient.answers), clock=clock)
    ask(watch, patient)
    patient.answers = False
    clock.now += 1.0
    ask(watch, patient)
    watch.close()
    assert told == [True, False]


def test_who_is_not_named_any_more_is_forgotten(watch: HealthWatch, patient: Patient) -> None:
    ask(watch, patient)
    watch.observe([])
    assert not watch.healthy(NODE.incarnation)


def test_the_first_answer_is_news(clock: Clock, patient: Patient) -> None:
    news = threading.Event()
    watch = HealthWatch(patient, on_news=news.set, clock=clock)
    watch.observe([NODE])
    assert news.wait(60)
    watch.close()
