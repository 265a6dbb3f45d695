from __future__ import annotations

import pytest

from elastic_images.autoscaler.loss_bound import WINDOW_SECONDS, LossBound


@pytest.mark.parametrize(("size", "at_once"), [(1, 1), (2, 1), (4, 1), (7, 1), (8, 2)])
def test_one_node_or_a_quarter_of_the_pool_is_given_up_at_once(size: int, at_once: int) -> None:
    assert LossBound().admit(frozenset(range(size)), size, 0.0) == frozenset(range(at_once))


def test_all_are_given_up_in_time_one_per_window() -> None:
    bound, silent = LossBound(), frozenset(range(4))
    assert bound.admit(silent, 4, 0.0) == {0}
    assert bound.admit(silent, 4, WINDOW_SECONDS - 0.1) == {0}
    assert bound.admit(silent, 4, WINDOW_SECONDS) == {0, 1}
    assert bound.admit(silent, 4, 2 * WINDOW_SECONDS) == {0, 1, 2}
    assert bound.admit(silent, 4, 3 * WINDOW_SECONDS) == silent


def test_what_one_slot_needs_later_is_the_same_loss() -> None:
    bound = LossBound()
    assert bound.admit(frozenset({2}), 4, 0.0) == {2}
    assert bound.admit(frozenset(), 4, 1.0) == frozenset()
    assert bound.admit(frozenset({1, 2}), 4, 2.0) == {2}


def test_a_slot_that_is_well_again_is_forgotten_after_the_window() -> None:
    bound = LossBound()
    bound.admit(frozenset({2}), 4, 0.0)
    bound.admit(frozenset(), 4, WINDOW_SECONDS)
    assert bound.admit(frozenset({1, 2}), 4, WINDOW_SECONDS) == {1}
