"""GDSF against an order that is too simple to be wrong: it looks at every key each time."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from elastic_images.core.evictions.gdsf import GdsfOrder

KEYS = st.sampled_from("abcdefgh")
SIZES = st.sampled_from([1, 3, 10, 40])


class GdsfMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.order = GdsfOrder()
        self.time = 0.0
        self.keys: dict[str, tuple[float, float, float]] = {}
        """Worth, rank, priority."""

    def priorities(self) -> list[float]:
        return sorted(priority for _, _, priority in self.keys.values())

    @rule(key=KEYS, size=SIZES, cost=st.sampled_from([1.0, 5.0]))
    def add(self, key: str, size: int, cost: float) -> None:
        if key in self.keys:
            self.order.touch(key, 0.0)
            worth, rank, _ = self.keys[key]
            self.keys[key] = worth, rank + worth, self.time + (rank + worth)
        else:
            self.order.add(key, size, cost, 0.0)
            self.keys[key] = cost / size, cost / size, self.time + cost / size

    @rule(key=KEYS, size=SIZES, rank=st.sampled_from([0.0, 0.5, 30.0]))
    def pull(self, key: str, size: int, rank: float) -> None:
        if key not in self.keys:
            self.order.add_ranked(key, size, 1.0, rank)
            self.keys[key] = 1.0 / size, rank, self.time + rank

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        if self.keys.pop(key, None):
            self.order.remove(key)

    @rule()
    def evict(self) -> None:
        if not self.keys:
            with pytest.raises(KeyError):
                self.order.victim()
            return
        key = self.order.victim()
        assert self.keys[key][2] == self.priorities()[0]
        self.time = self.keys.pop(key)[2]
        self.order.remove(key)

    @invariant()
    def knows_every_rank_and_the_whole_order(self) -> None:
        assert dict(self.order.ranked()) == {key: rank for key, (_, rank, _) in self.keys.items()}
        coldest = list(self.order.coldest_first())
        assert sorted(key for key, _ in coldest) == sorted(self.keys)
        assert [self.keys[key][2] for key, _ in coldest] == self.priorities()
        assert [exceed for _, exceed in coldest] == [self.keys[key][2] - self.time for key, _ in coldest]


TestGdsfAgainstTheModel = GdsfMachine.TestCase
TestGdsfAgainstTheModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_is_removed_and_added_again_takes_no_memory() -> None:
    order = GdsfOrder()
    for number in range(10_000):
        order.add(str(number), 10, 1.0, 0.0)
        order.remove(str(number))
    assert len(order._heap) < 100


def test_an_entry_that_cost_more_stays_longer() -> None:
    order = GdsfOrder()
    order.add("rendition", 1000, 0.040, 0.0)
    order.add("original", 1000, 0.0006, 0.0)
    assert order.victim() == "original"
