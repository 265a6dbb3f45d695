"""Calls that are made again: when, how long, and with which pauses."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from elastic_images.storage.objects.s3.errors import S3Error, as_ours, is_temporary
from elastic_images.storage.objects.s3.retries import LONGEST_PAUSE_SECONDS, Repeater
from elastic_images.storage.objects.s3.upload import pieces_of


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def repeater(time: Time) -> Repeater:
    return Repeater(
        lambda error: isinstance(error, TimeoutError), clock=lambda: time.now, sleep=time.sleep, random=Random(4)
    )


def test_a_call_is_made_until_it_succeeds() -> None:
    time = Time()
    outcomes: Iterator[int | TimeoutError] = iter([TimeoutError(), TimeoutError(), 7])

    def call() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, TimeoutError):
            raise outcome
        return outcome

    assert repeater(time).run(call, 30) == 7
    assert len(time.pauses) == 2


def test_pauses_grow_to_a_bound_and_end_before_the_deadline() -> None:
    time = Time()

    def call() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        repeater(time).run(call, 60)
    assert 50 < time.now < 60
    assert max(time.pauses[:3]) < 0.4
    assert 1 < max(time.pauses) <= LONGEST_PAUSE_SECONDS
    assert len(set(time.pauses)) == len(time.pauses)


def test_what_will_not_help_is_not_repeated() -> None:
    time = Time()

    def call() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        repeater(time).run(call, 60)
    assert time.pauses == []


@pytest.mark.parametrize(
    ("trouble", "temporary"),
    [
        (S3Error("SlowDown", 503, operation="PutObject"), True),
        (S3Error("502", 502, operation="PutObject"), True),
        (S3Error("ReadTimeoutError", None, operation="PutObject", connection=True), True),
        (S3Error("BadDigest", 400, operation="PutObject"), True),
        (S3Error("AccessDenied", 403, operation="PutObject"), False),
        (S3Error("NoSuchKey", 404, operation="GetObject"), False),
        (S3Error("PreconditionFailed", 412, operation="PutObject"), False),
    ],
    ids=lambda value: getattr(value, "code", ""),
)
def test_which_troubles_pass(trouble: S3Error, temporary: bool) -> None:
    assert is_temporary(trouble) is temporary
    assert trouble.code in str(as_ours(trouble, "s3://b/p"))


@pytest.mark.parametrize("sizes", [[], [0], [3], [4], [5], [1] * 9, [4, 4], [2, 7, 0, 3], [30]])
def test_pieces_are_the_same_bytes(sizes: list[int]) -> None:
    chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
    pieces = list(pieces_of(chunks, 4))
    assert b"".join(pieces) == b"".join(chunks)
    assert all(len(piece) == 4 for piece in pieces[:-1])
    assert all(0 < len(piece) <= 4 for piece in pieces)
