"""Whether a copy is of one moment."""

from __future__ import annotations

from benchmarks.lib.histories import History, Operation, moment_of


def histories() -> list[History]:
    first = History({"a": "1", "b": "1"}, [Operation("a", "2", 10, 11), Operation("b", None, 20, 21)])
    second = History({"c": "1"}, [Operation("d", "1", 12, 19)])
    return [first, second]


def test_a_copy_of_one_moment_says_when() -> None:
    assert moment_of(histories(), [{"a": "2", "b": "1"}, {"c": "1"}]) == (10, 19)
    assert moment_of(histories(), [{"a": "2", "b": "1"}, {"c": "1", "d": "1"}]) == (12, 21)
    assert moment_of(histories(), [{"a": "1", "b": "1"}, {"c": "1"}]) == (float("-inf"), 11)
    assert [history.state() for history in histories()] == [{"a": "2"}, {"c": "1", "d": "1"}]


def test_a_copy_that_mixes_moments_is_none() -> None:
    assert moment_of(histories(), [{"a": "1"}, {"c": "1"}]) is None, "b was deleted after a was written"
    assert moment_of(histories(), [{"a": "2"}, {"c": "1"}]) is None, "d was there before b was deleted"
    assert moment_of(histories(), [{"a": "3", "b": "1"}, {"c": "1"}]) is None
    assert moment_of(histories(), [{"a": "1", "b": "1"}, {"c": "1", "x": "1"}]) is None
