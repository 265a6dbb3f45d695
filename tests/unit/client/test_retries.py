"""How long a call is repeated, by a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from elastic_images.client.errors import NoAnswer, NotConnected
from elastic_images.client.retries import NO_RETRIES, Retries
from elastic_images.core.errors import ElasticImagesError, NotFound, TooManyRequests, Unavailable


class Time:
    """A clock that pauses move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []
        self.error: ElasticImagesError | None = None

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def run(retries: Retries, errors: Callable[[int], ElasticImagesError | None], *, only_unsent: bool = False) -> Time:
    """Call what fails with `errors` of its attempts, 0 and up, until it gives None."""
    time, attempts = Time(), iter(range(10_000))

    def attempt() -> str:
        if (error := errors(next(attempts))) is not None:
            raise error
        return "done"

    try:
        assert retries.run(attempt, only_unsent=only_unsent, clock=time.clock, sleep=time.sleep) == "done"
    except ElasticImagesError as error:
        time.error = error
    return time


def test_pauses_grow_up_to_a_minute_in_all() -> None:
    time = run(Retries(), lambda _: Unavailable("busy", retry_after_seconds=None))
    assert isinstance(time.error, Unavailable)
    assert 0.1 <= time.pauses[0] <= 0.15
    assert all(3 <= pause <= 4.5 for pause in time.pauses[6:])
    assert 55 < time.now - 100 <= 60


def test_pauses_are_not_all_the_same() -> None:
    pauses = {run(Retries(), lambda n: Unavailable("busy") if n == 0 else None).pauses[0] for _ in range(20)}
    assert len(pauses) > 1


@pytest.mark.parametrize("kind", [Unavailable, TooManyRequests])
def test_what_the_server_says_is_the_shortest_pause(kind: type[ElasticImagesError]) -> None:
    (pause,) = run(Retries(), lambda n: kind("busy", retry_after_seconds=7) if n == 0 else None).pauses
    assert 7 <= pause <= 10.5


def test_a_pause_longer_than_there_is_time_is_not_begun() -> None:
    time = run(Retries(10), lambda _: Unavailable("busy", retry_after_seconds=11))
    assert time.pauses == []


def test_nobody_there_is_waited_for_less_long() -> None:
    time = run(Retries(), lambda _: NotConnected("nobody", retry_after_seconds=None))
    assert 3 < time.now - 100 <= 7


def test_a_system_that_was_there_is_waited_for_anew() -> None:
    def errors(attempt: int) -> ElasticImagesError | None:
        if attempt == 40:
            return None
        return NotConnected("restarting") if attempt % 2 else NoAnswer("cut", retry_after_seconds=None)

    time = run(Retries(600, 7), errors)
    assert time.error is None
    assert len(time.pauses) == 40


@pytest.mark.parametrize(
    ("error", "repeated"),
    [
        (NotConnected("nobody"), True),
        (TooManyRequests("slow down"), True),
        (NoAnswer("cut"), False),
        (Unavailable("busy"), False),
        (NotFound("never"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_may_have_been_done_is_not_repeated_if_that_matters(error: ElasticImagesError, repeated: bool) -> None:
    time = run(Retries(), lambda n: error if n == 0 else None, only_unsent=True)
    assert len(time.pauses) == repeated
    assert time.error is (None if repeated else error)


def test_other_errors_and_no_retries_end_it_at_once() -> None:
    for retries, error in (
        (Retries(), NotFound("never")),
        (NO_RETRIES, Unavailable("busy")),
        (NO_RETRIES, NoAnswer("x")),
    ):
        time = run(retries, lambda _, error=error: error)  # type: ignore[misc]
        assert (time.pauses, time.error) == ([], error)
