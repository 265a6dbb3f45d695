"""The miss ratios of our orders beside libcachesim's, which is not ours (`libcachesim` on PyPI)."""

from __future__ import annotations

import bisect
import itertools
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random

import libcachesim
import pytest

from elastic_images.core.evictions.policies import eviction_order

_IMAGES, _REQUESTS = 20_000, 150_000
_SHARE = 0.05
"""Of the bytes of all images, in the cache."""
_TOLERANCE = 0.005

Trace = list[int]


def static(random: Random) -> Trace:
    """Zipf with exponent 0.9."""
    weights = list(itertools.accumulate((rank + 1) ** -0.9 for rank in range(_IMAGES)))
    numbers = list(range(_IMAGES))
    random.shuffle(numbers)
    return [numbers[bisect.bisect_left(weights, random.random() * weights[-1])] for _ in range(_REQUESTS)]


def scan(random: Random) -> Trace:
    """The same, and after every third request the next of as many other images, in turn."""
    trace: Trace = []
    for number, image in enumerate(static(random)):
        trace.append(image)
        if number % 3 == 0:
            trace.append(_IMAGES + number // 3 % _IMAGES)
    return trace


def churn(random: Random) -> Trace:
    """The same, while other images take the places of the most popular."""
    return [(image + number // 3000 * 100) % (2 * _IMAGES) for number, image in enumerate(static(random))]


@pytest.mark.parametrize("make", [static, scan, churn])
def test_misses_are_those_of_another_implementation(make: Callable[[Random], Trace], tmp_path: Path) -> None:
    random = Random(7)
    sizes = [max(200, int(random.lognormvariate(9.5, 1.2))) for _ in range(2 * _IMAGES)]
    capacity = int(_SHARE * sum(sizes[:_IMAGES]))
    trace = make(random)
    path = tmp_path / "trace"
    # The format oracleGeneral: time, id, size, and when it is asked for next, which these caches do not look at.
    path.write_bytes(b"".join(struct.pack("<IQIq", at, image + 1, sizes[image], -1) for at, image in enumerate(trace)))
    theirs = {"LRU": libcachesim.LRU, "GDSF": libcachesim.GDSF, "S3FIFO": libcachesim.S3FIFO}
    for policy, cache in theirs.items():
        reader = libcachesim.TraceReader(str(path), libcachesim.TraceType.ORACLE_GENERAL_TRACE)
        expected = cache(cache_size=capacity).process_trace(reader)
        assert misses(policy, trace, sizes, capacity) == pytest.approx(expected, abs=_TOLERANCE), policy


def misses(policy: str, trace: Trace, sizes: list[int], capacity: int) -> tuple[float, float]:
    """The share of requests, and of their bytes, that are not in a cache."""
    order = eviction_order(policy, Random(1))
    order.set_capacity(capacity)
    cached: set[str] = set()
    used = missed = missed_bytes = 0
    for at, image in enumerate(trace):
        key, size = str(image), sizes[image]
        if key in cached:
            order.touch(key, at)
            continue
        missed, missed_bytes = missed + 1, missed_bytes + size
        while used + size > capacity:
            victim = order.victim()
            order.remove(victim)
            cached.remove(victim)
            used -= sizes[int(victim)]
        order.add(key, size, 1.0, at)
        cached.add(key)
        used += size
    return missed / len(trace), missed_bytes / sum(sizes[image] for image in trace)
