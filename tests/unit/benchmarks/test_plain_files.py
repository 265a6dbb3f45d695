from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.lib.plain_files import load_of, write_files


def test_files_are_written_counted_and_removed(tmp_path: Path) -> None:
    load = write_files(tmp_path / "plain", [b"a" * 100, b"b"], threads=3, seconds=0.05)
    assert load.requests > 0
    assert load.seconds >= 0.05
    assert load.errors == 0
    assert not (tmp_path / "plain").exists()


def test_tails_are_taken_from_the_ordered_times() -> None:
    load = load_of([0.001 * number for number in range(100, 0, -1)], 2.0)
    assert load.requests_per_second == 50
    assert load.p50_ms == pytest.approx(51)
    assert load.p99_ms == pytest.approx(100)


def test_nothing_written_is_no_measurement() -> None:
    with pytest.raises(ValueError, match="nothing was written"):
        load_of([], 1.0)
