from __future__ import annotations

import threading
import time

import pytest

from elastic_images.pool.change_watch import ChangeWatch


class Stamp:
    """The pool's stamp, and how often it was asked for."""

    def __init__(self) -> None:
        self.value = "1"
        self.looks = 0
        self.most_at_once = 0
        self._inside = 0
        self.broken = False

    def __call__(self) -> str:
        self.looks += 1
        self._inside += 1
        self.most_at_once = max(self.most_at_once, self._inside)
        try:
            time.sleep(0.002)  # what a query takes
            if self.broken:
                raise OSError("the database is gone")
            return self.value
        finally:
            self._inside -= 1


def wait_in_threads(watch: ChangeWatch, count: int, seconds: float) -> list[threading.Thread]:
    threads = [threading.Thread(target=watch.wait, args=("1", seconds)) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_a_change_ends_the_wait() -> None:
    stamp = Stamp()
    threads = wait_in_threads(ChangeWatch(stamp), 4, 30.0)
    stamp.value = "2"
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_a_stamp_that_is_not_the_current_one_ends_the_wait_at_the_first_look() -> None:
    stamp = Stamp()
    ChangeWatch(stamp).wait("0", 30.0)
    assert stamp.looks == 1


def test_the_wait_ends_without_a_change() -> None:
    ChangeWatch(Stamp()).wait("1", 0.05)
    ChangeWatch(Stamp()).wait("1", 0.0)


@pytest.mark.parametrize("waiters", [1, 2, 8])
def test_however_many_wait_one_asks_the_database_at_a_bounded_rate(waiters: int) -> None:
    stamp = Stamp()
    began = time.monotonic()
    for thread in wait_in_threads(ChangeWatch(stamp), waiters, 0.5):
        thread.join()
    assert stamp.most_at_once == 1
    # 0.5 s at 33 looks a second are 17; two waiters that wake each other come to hundreds.
    assert stamp.looks <= 2 + (time.monotonic() - began) / 0.03


def test_what_the_database_raises_ends_the_wait_of_who_looked_and_the_others_go_on() -> None:
    stamp = Stamp()
    watch = ChangeWatch(stamp)
    stamp.broken = True
    with pytest.raises(OSError, match="gone"):
        watch.wait("1", 30.0)
    stamp.broken = False
    stamp.value = "2"
    watch.wait("1", 30.0)
