from __future__ import annotations

from elastic_images.metrics.collector import Collector, Origin
from elastic_images.metrics.counters import Number


def test_samples_hold_what_was_counted_since_the_last_one() -> None:
    figures: dict[str, Number] = {"hits": 10, "misses": 5, "requests": 15, "evictions": 1, "bytes": 3}
    collector = Collector(lambda: figures, Origin("node-3", "node", 3), now=100.0)
    figures.update(hits=14, requests=19, bytes=7, items=2, capacity_bytes=64)
    first = collector.collect(105.0)
    second = collector.collect(110.0)
    assert (first.source, first.kind, first.slot) == ("node-3", "node", 3)
    assert (first.started_at, first.ended_at) == (100.0, 105.0)
    assert (first.requests, first.hits, first.misses, first.evictions, first.bypasses) == (4, 4, 0, 0, 0)
    assert (first.items, first.used_bytes, first.capacity_bytes) == (2, 7, 64)
    assert (second.started_at, second.requests, second.used_bytes) == (105.0, 0, 7)
    assert first.id != second.id


def test_two_runs_of_one_source_never_share_an_id() -> None:
    ids = {Collector(dict, Origin("node-0", "node", 0), now=0.0).collect(5.0).id for _ in range(10)}
    assert len(ids) == 10


def test_a_clock_that_was_set_back_and_a_total_that_fell_give_no_negative_sample() -> None:
    figures: dict[str, Number] = {"evictions": 10}
    collector = Collector(lambda: figures, Origin("web-1a2b", "web"), now=100.0)
    figures["evictions"] = 4
    sample = collector.collect(40.0)
    assert (sample.started_at, sample.ended_at, sample.evictions) == (40.0, 40.0, 0)
    figures["evictions"] = 6
    assert collector.collect(45.0).evictions == 2
