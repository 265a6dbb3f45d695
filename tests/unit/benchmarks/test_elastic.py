"""The parts of benchmarks/elasticity.py that its figures stand on."""

from __future__ import annotations

import io
import signal
import threading
import time
from collections import Counter
from random import Random

import pytest
from benchmarks.elastic.ideal_pool import IdealPool
from benchmarks.elastic.images import Catalog, cumulative_zipf, make_catalog
from benchmarks.elastic.load import Read, Readers, percentile
from benchmarks.elastic.records import Resize, Run
from benchmarks.elastic.report import WINDOW, figures_of
from PIL import Image

from elastic_images.core.assignment import alternating
from elastic_images.core.entry import OVERHEAD_BYTES
from elastic_images.core.partitions import partition_of

SIZE = 1000


def catalog(count: int = 400) -> Catalog:
    """Images of one size."""
    keys = tuple(f"key-{number:03d}" for number in range(count))
    return Catalog(keys, (SIZE,) * count, tuple(map(partition_of, keys)), (1,) * count)


def test_images_have_their_sizes_and_no_two_are_alike() -> None:
    made = make_catalog(40, seed=1)
    bodies = [made.body(number) for number in range(40)]
    assert len(set(bodies)) == 40
    assert bodies[7] == made.body(7)
    for key, size, body in zip(made.keys, made.sizes_bytes, bodies, strict=True):
        assert size == len(key) + len(body) + OVERHEAD_BYTES
        assert 18_000 < len(body) < 210_000
        with Image.open(io.BytesIO(body)) as image:
            image.load()
            assert image.format == "PNG"


def test_requests_follow_zipfs_law_and_can_be_replayed() -> None:
    weights = cumulative_zipf(1000)
    assert weights[9] - weights[8] == pytest.approx(0.1)
    first, second = (Readers(1, catalog(1000), seed=5) for _ in range(2))
    drawn = [first._draw() for _ in range(20_000)]
    assert drawn[:100] == [second._draw() for _ in range(100)]
    counts = Counter(drawn)
    assert counts[0] / len(drawn) == pytest.approx(1 / weights[-1], rel=0.1)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.25)


def test_an_interrupted_run_ends_its_readers() -> None:
    """Nobody listens at port 1, so what is left of a million requests would keep its readers busy for minutes."""
    readers = Readers(1, catalog(), seed=1)

    def interrupt() -> None:
        while len(readers.reads) < 10:
            time.sleep(0.001)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    # A job in the background of a shell inherits that SIGINT is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupting.start()
        with pytest.raises(KeyboardInterrupt):
            readers.rest(1_000_000)
        interrupting.join()
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_ideal_pool_is_an_lru_cache_for_each_node() -> None:
    images = catalog(30)
    mine = [number for number in range(30) if images.partitions[number] % 2 == 0][:4]
    pool = IdealPool(images, 3 * SIZE, alternating(2))
    assert [pool.read(number) for number in (*mine[:3], mine[0], mine[3])] == [False, False, False, True, False]
    assert pool.read(mine[0])
    assert not pool.read(mine[1]), "it was used least recently"


def test_an_ideal_resize_keeps_the_most_recently_used_that_fits() -> None:
    images = catalog()
    chance = Random(3)
    pool = IdealPool(images, 20 * SIZE, alternating(4))
    used = [chance.randrange(60) for _ in range(500)]
    for number in used:
        pool.read(number)
    pool.resize(alternating(1))
    hottest = list(dict.fromkeys(reversed(used)))[:20]
    # From the coldest on, so that a miss evicts nothing that is still to be looked at.
    assert all(pool.read(number) for number in reversed(hottest))
    assert not pool.read(300)


def test_growing_loses_nothing() -> None:
    images = catalog()
    pool = IdealPool(images, 20 * SIZE, alternating(1))
    for number in range(20):
        pool.read(number)
    pool.resize(alternating(4))
    assert all(pool.read(number) for number in range(20))


def run_of(missed: list[bool], *, seconds: list[float] | None = None) -> Run:
    """One resize from 1 node to 2, asked for at request 2,000; a request a millisecond, always of another image."""
    images = catalog(len(missed))
    times = seconds or [0.002] * len(missed)
    reads = [
        Read(number, number / 1000, times[number], 200, "MISS" if miss else "HIT") for number, miss in enumerate(missed)
    ]
    resize = Resize(1, 2, 1.0, 2.0, 2.1, 2.3, 2.4, 4.0, alternating(1), alternating(2), 5_000_000)
    return Run(images, 10 * SIZE, alternating(1), reads, [resize], [])


def test_figures_are_cut_where_the_resize_was() -> None:
    missed = [2000 <= number < 2500 for number in range(5000)]
    seconds = [0.010 if 2000 <= number < 2400 else 0.004 for number in range(5000)]
    (found,) = figures_of(run_of(missed, seconds=seconds))
    assert (found.miss_before, found.miss_first) == (0.0, 100 * 500 / WINDOW)
    assert (found.fetches, found.requests) == (500, 3000)
    assert found.p99_ms == pytest.approx((4.0, 10.0, 4.0))
    assert found.slowdown == pytest.approx(2.5)
    # Every image is new to an ideal pool: it misses all of them.
    assert (found.old_steady, found.new_steady, found.ideal_fetches) == (100.0, 100.0, 3000)
    assert found.broken() == ["p99 2.5 times that before"]


def test_what_is_worse_than_ideal_and_what_fails_is_told() -> None:
    run = run_of([False] * 5000)
    reads = [
        Read(0, read.due_at, 0.001, 200, "MISS" if place >= 2000 else "HIT") for place, read in enumerate(run.reads)
    ]
    reads[2500] = Read(0, reads[2500].due_at, 0.001, 503, "")
    (found,) = figures_of(Run(run.catalog, run.capacity_bytes, run.first, reads, run.resizes, []))
    assert found.broken() == ["misses 99.9 % at the peak, more than 1.0 %", "1 failed requests"]


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 0.99) == 0.0
