from __future__ import annotations

from collections import Counter
from random import Random

from benchmarks.lib.draws import keys_for, uniform, zipf


def test_keys_are_keys_and_differ() -> None:
    keys = keys_for("10KB", 1000)
    assert len(set(keys)) == 1000
    assert keys[0] == "bench/10KB/000000"


def test_by_zipf_a_key_comes_as_often_as_its_rank_says() -> None:
    counts = Counter(zipf(keys_for("x", 100), 200_000, Random(1)))
    first, second, tenth = (counts[key] for key in (keys_for("x", 100)[number] for number in (0, 1, 9)))
    assert 1.8 < first / second < 2.2
    assert 8.5 < first / tenth < 11.5
    assert len(counts) == 100


def test_the_same_seed_draws_the_same() -> None:
    keys = keys_for("x", 50)
    assert zipf(keys, 100, Random(7)) == zipf(keys, 100, Random(7))
    assert uniform(keys, 100, Random(7)) == uniform(keys, 100, Random(7))


def test_uniform_draws_every_key() -> None:
    counts = Counter(uniform(keys_for("x", 64), 64_000, Random(1)))
    assert len(counts) == 64
    assert min(counts.values()) > 800
