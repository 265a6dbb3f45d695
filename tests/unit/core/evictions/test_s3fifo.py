from __future__ import annotations

import pytest

from elastic_images.core.evictions.s3fifo import S3FifoOrder


def order_of(*keys: str) -> S3FifoOrder:
    order = S3FifoOrder()
    order.set_capacity(100)
    for key in keys:
        order.add(key, 10, 1.0, 0.0)
    return order


def evict(order: S3FifoOrder) -> str:
    key = order.victim()
    order.remove(key)
    return key


def test_what_is_used_once_leaves_in_the_order_in_which_it_came() -> None:
    order = order_of("a", "b", "c")
    order.touch("a", 0.0)
    assert [evict(order) for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(KeyError):
        order.victim()


def test_what_is_used_twice_moves_on_to_the_main_queue() -> None:
    order = order_of("a", "b", "c")
    for _ in range(2):
        order.touch("a", 0.0)
    assert [evict(order) for _ in range(3)] == ["b", "c", "a"]


def test_what_returns_soon_after_its_eviction_enters_the_main_queue() -> None:
    order = order_of("a", "b")
    assert evict(order) == "a"
    order.add("a", 10, 1.0, 0.0)
    order.add("c", 10, 1.0, 0.0)
    assert dict(order.ranked()) == {"b": 0, "c": 0, "a": 4}
    assert [evict(order) for _ in range(3)] == ["b", "c", "a"]


def test_evicted_keys_are_remembered_for_a_while_only() -> None:
    order = order_of(*map(str, range(20)))
    for _ in range(20):
        evict(order)
    order.add("19", 10, 1.0, 0.0)
    order.add("0", 10, 1.0, 0.0)
    assert dict(order.ranked()) == {"19": 4, "0": 0}


def test_a_use_saves_a_key_of_the_main_queue_once() -> None:
    order = order_of()
    for key, rank in (("a", 5.0), ("b", 4.0), ("c", 7.0)):
        order.add_ranked(key, 10, 1.0, rank)
    assert [key for key, _ in order.coldest_first()] == ["b", "a", "c"]
    assert [evict(order) for _ in range(3)] == ["b", "a", "c"]


@pytest.mark.parametrize("rank", [-3.0, 0.0, 2.0, 3.0, 4.0, 7.0, 900.0])
def test_ranks_of_other_caches_keep_their_order(rank: float) -> None:
    order = order_of()
    order.add_ranked("a", 10, 1.0, rank)
    assert dict(order.ranked())["a"] == min(max(rank, 0), 7)
