from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from elastic_images.pool.hung_nodes import HungNodeGuard

ONE_MORE = object()


class Waiters:
    """Threads that wait for a node until they are let go."""

    def __init__(self) -> None:
        self.now = 100.0
        self.guard = HungNodeGuard(lambda: self.now, waiting=4, silence_seconds=0.3)
        self._go = threading.Event()
        self._threads: list[threading.Thread] = []

    def wait(self, count: int, name: str = "node") -> int:
        """So many more begin to wait; how many of them were let in."""
        entered: list[bool] = []
        arrived = threading.Barrier(count + 1)

        def work() -> None:
            waiter = object()
            inside = self.guard.enter(name, waiter)
            entered.append(inside)
            arrived.wait(60)
            self._go.wait(60)
            if inside:
                self.guard.leave(name, waiter, answered=False)

        self._threads += (begun := [threading.Thread(target=work) for _ in range(count)])
        for thread in begun:
            thread.start()
        arrived.wait(60)
        return sum(entered)

    def release(self) -> None:
        self._go.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def made() -> Iterator[Waiters]:
    waiters = Waiters()
    yield waiters
    waiters.release()


@pytest.fixture
def waiters() -> Iterator[Waiters]:
    with made() as one:
        yield one


def test_of_a_silent_node_only_a_few_wait(waiters: Waiters) -> None:
    assert waiters.wait(4) == 4
    waiters.now += 0.5
    assert waiters.wait(3) == 1, "one tries"
    assert waiters.wait(3) == 0
    waiters.now += 0.2
    assert waiters.wait(3) == 1, "and another one later"


def test_one_answer_lets_all_in_again(waiters: Waiters) -> None:
    assert waiters.wait(4) == 4
    waiters.now += 0.5
    assert waiters.guard.enter("node", ONE_MORE)
    assert waiters.wait(3) == 0
    waiters.guard.leave("node", ONE_MORE, answered=True)
    assert waiters.wait(3) == 3


def test_any_number_waits_for_a_node_that_answers(waiters: Waiters) -> None:
    assert waiters.wait(4) == 4
    waiters.now += 0.2
    assert waiters.guard.enter("node", ONE_MORE)
    waiters.now += 0.2
    waiters.guard.leave("node", ONE_MORE, answered=True)
    waiters.now += 0.2
    assert waiters.wait(20) == 20


def test_an_error_is_no_sign_of_life(waiters: Waiters) -> None:
    assert waiters.guard.enter("node", ONE_MORE)
    assert waiters.wait(4) == 4
    waiters.now += 0.4
    waiters.guard.leave("node", ONE_MORE, answered=False)
    assert waiters.wait(5) == 1


def test_the_silence_of_a_node_that_nobody_asked_means_nothing(waiters: Waiters) -> None:
    assert waiters.guard.enter("node", ONE_MORE)
    waiters.guard.leave("node", ONE_MORE, answered=True)
    waiters.now += 3600
    assert waiters.wait(9) == 9


def test_one_silent_node_is_none_of_the_others_business(waiters: Waiters) -> None:
    assert waiters.wait(4) == 4
    waiters.now += 1.0
    assert waiters.wait(2) == 1
    assert waiters.wait(1, "another") == 1


def test_it_is_asked_again_when_those_who_waited_have_given_up() -> None:
    with made() as waiters:
        assert waiters.wait(4) == 4
        waiters.now += 1.0
    assert waiters.guard.enter("node", ONE_MORE)
