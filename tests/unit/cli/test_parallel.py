"""Working in parallel, in order; stopping."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from elastic_images.cli.parallel import in_parallel
from elastic_images.core.errors import NotFound


def test_results_come_in_order_from_several_at_a_time() -> None:
    meet = threading.Barrier(2)  # passed only by two at a time

    def work(number: int) -> int:
        meet.wait(60)
        return number * 2

    assert list(in_parallel(work, range(20), 2)) == [number * 2 for number in range(20)]
    assert list(in_parallel(work, [], 2)) == []


def test_no_more_is_taken_than_is_needed() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_parallel(lambda number: number, items(), 3)
    assert next(results) == 0
    assert len(taken) <= 12
    results.close()
    assert len(taken) <= 12


def test_an_error_ends_it_and_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 5:
            raise NotFound("5")

    with pytest.raises(NotFound, match="5"):
        list(in_parallel(work, range(1000), 2))
    assert len(begun) < 30
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


def test_behind_an_error_nothing_is_begun_even_before_it_is_read() -> None:
    for _ in range(50):
        begun: list[int] = []

        def work(number: int, begun: list[int] = begun) -> None:
            begun.append(number)
            if number == 2:
                raise NotFound("2")

        with pytest.raises(NotFound, match="2"):
            list(in_parallel(work, range(1000), 1))
        assert begun == [0, 1, 2]


def test_an_error_of_the_items_comes_through() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise NotFound("items")

    with pytest.raises(NotFound, match="items"):
        list(in_parallel(lambda number: number, items(), 2))
