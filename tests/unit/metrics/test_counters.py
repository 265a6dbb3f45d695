from __future__ import annotations

import sys
import threading

import pytest

from elastic_images.metrics.counters import Counter, Counters


def test_no_increment_is_lost_while_others_look() -> None:
    counter = Counter()
    each, threads = 20_000, 8
    start = threading.Barrier(threads + 1)

    def work(_: int) -> None:
        start.wait()
        for _ in range(each):
            counter.increment()
        counter.add(5)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for worker in workers:
            worker.start()
        start.wait()
        seen = [0]
        while any(worker.is_alive() for worker in workers):
            seen.append(counter.value)
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert counter.value == threads * (each + 5)
    assert seen == sorted(seen)
    assert counter.value == counter.value


def test_one_increment_counts_one_read_in_every_figure() -> None:
    counters = Counters()
    for name, times in (("hits", 5), ("made", 1), ("stored", 2), ("bypasses", 2)):
        counters.counter(name).add(times)
    assert counters.read() == {"hits": 5, "made": 1, "stored": 2, "misses": 5, "bypasses": 2, "requests": 10}


def test_a_process_without_a_cache_has_no_cache_figures() -> None:
    counters = Counters()
    counters.counter("uploads").increment()
    assert counters.read() == {"uploads": 1}


def test_the_same_name_is_the_same_counter() -> None:
    counters = Counters()
    assert counters.counter("hits") is counters.counter("hits")


def test_figures_from_elsewhere_are_taken_where_they_are_known() -> None:
    counters = Counters()
    counters.follow(lambda: {"items": 3, "bytes": 40, "policy": "LRU", "unheard_of": 1, "epoch": True})
    counters.follow(lambda: {"evictions": 7})
    assert counters.read() == {"items": 3, "bytes": 40, "evictions": 7}


@pytest.mark.parametrize("name", ["hitz", "items", "misses", "requests"])
def test_what_is_no_counter_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Counters().counter(name)
