from __future__ import annotations

from benchmarks.lib.meter import Cell, measure, measure_rounds
from benchmarks.lib.wrk import Load


def cell(name: str, calls: list[tuple[str, int]], prepared: list[str]) -> Cell:
    def load(seconds: int) -> Load:
        calls.append((name, seconds))
        return Load(100, float(seconds), 0, 0, 1.0, 2.0)

    return Cell(load, list, lambda: prepared.append(name))


def test_rounds_are_interleaved_and_begin_with_another_target_each_time() -> None:
    calls: list[tuple[str, int]] = []
    prepared: list[str] = []
    cells = {name: cell(name, calls, prepared) for name in "abc"}
    measured = measure_rounds(cells, rounds=3, seconds=4, warm_up_seconds=1)
    assert [name for name, seconds in calls if seconds == 1] == ["a", "b", "c"]
    assert "".join(name for name, seconds in calls if seconds == 4) == "abc" + "bca" + "cab"
    assert prepared == [name for name, _ in calls]
    assert {name: len(rounds) for name, rounds in measured.items()} == {"a": 3, "b": 3, "c": 3}


def test_a_measurement_has_the_load_and_what_it_cost() -> None:
    measured = measure(cell("a", [], []), 1)
    assert measured.load.requests == 100
    assert measured.cost.server_seconds == 0
    assert measured.cost.others_share >= 0
