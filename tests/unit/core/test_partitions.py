from __future__ import annotations

from collections import Counter
from hashlib import md5

from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.assignment import alternating
from elastic_images.core.partitions import PARTITIONS, partition_of, shown_partition


def test_the_examples_of_the_assignment() -> None:
    assert (partition_of("k1"), shown_partition(partition_of("k1"))) == (11, 12)
    assert (partition_of("k2"), shown_partition(partition_of("k2"))) == (6, 7)
    assert [alternating(nodes)[partition_of("k1")] for nodes in (1, 2, 4)] == [0, 1, 3]
    assert [alternating(nodes)[partition_of("k2")] for nodes in (1, 2, 4)] == [0, 0, 2]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_a_partition_is_the_first_hexadecimal_digit_of_the_keys_md5(key: str) -> None:
    assert partition_of(key) == int(md5(key.encode(), usedforsecurity=False).hexdigest()[0], 16)
    assert 1 <= shown_partition(partition_of(key)) <= PARTITIONS


def test_keys_spread_over_all_partitions() -> None:
    counts = Counter(partition_of(f"photo-{number}.jpg") for number in range(16_000))
    assert set(counts) == set(range(PARTITIONS))
    assert max(counts.values()) < 1.15 * 1000
