"""The benchmarks that need no other server run, and say what they measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def figures_of(
    benchmark: str, report: Path, *options: str, codes: tuple[int, ...] = (0,)
) -> tuple[dict[str, object], str]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{benchmark}", *options, "--json", str(report)],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode in codes, done.stderr
    return json.loads(report.read_text()), done.stdout


def test_a_small_catalog_is_measured(tmp_path: Path) -> None:
    options = ["--rows", "3000", "--pages", "5", "--deleted", "600", "--database", "sqlite", "--folder", str(tmp_path)]
    figures, shown = figures_of("catalog", tmp_path / "report.json", *options)
    assert "| any page of a prefix |" in shown
    measured = figures["databases"]["sqlite"]  # type: ignore[index]
    assert sum(figure["listing"] for figure in measured) == 8
    assert all(figure["asked"] > 0 < figure["median_ms"] <= figure["most_ms"] for figure in measured)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_reload_is_measured(tmp_path: Path) -> None:
    options = ["--reloads", "1", "--rate", "20", "--processes", "1"]
    figures, shown = figures_of("reload", tmp_path / "report.json", *options)
    assert "| 1 reloads |" in shown
    assert figures["reloading"]["failed"] == 0  # type: ignore[index]


def test_what_a_small_system_weighs_is_measured(tmp_path: Path) -> None:
    figures, shown = figures_of("footprint", tmp_path / "report.json", "--images", "24", "--times", "1")
    assert "| storage |" in shown
    idle, cached = figures["idle_mb"], figures["cached"]
    assert set(idle) == {  # type: ignore[call-overload]
        "supervisor", "imaging", "web", "storage", "autoscaler", "manager", "memcache 0", "memcache 1", "total",
    }  # fmt: skip
    assert cached["node_counts_bytes"] > cached["image_bytes"] > 2_000_000  # type: ignore[index]


def test_what_a_starved_system_loses_is_counted(tmp_path: Path) -> None:
    figures, shown = figures_of("starved", tmp_path / "report.json", "--busy", "2", "--seconds", "2")
    assert "0 replaced, 0 fenced: reached" in shown
    assert figures["found"]["reads"] > 0 == figures["found"]["wrong bytes"]  # type: ignore[index]


def test_a_backup_is_measured(tmp_path: Path) -> None:
    options = ["--images", "30", "--changes", "5", "--kills", "1"]
    figures, shown = figures_of("backup", tmp_path / "report.json", *options, codes=(0, 1))  # 30 are too few to gain
    assert "| first set is of one moment | True |" in shown
    right = {name for name, value in figures.items() if value is True}
    assert right >= {"sets_are_whole", "second_set_is_right", "set_after_kills_is_right", "restored_system_serves"}


def test_odd_files_are_counted(tmp_path: Path) -> None:
    figures, shown = figures_of("odd_images", tmp_path / "report.json", "--files", "60", codes=(0, 1))
    assert "| answers that are neither stored nor refused | 0 | reached |" in shown
    assert "| objects left behind, damaged or lost | 0 | reached |" in shown
    assert figures["answers"]["refused"] > 15  # type: ignore[index]


def test_what_others_notice_of_an_attack_is_measured(tmp_path: Path) -> None:
    options = ["--only", "slow-bodies", "--seconds", "2"]
    figures, shown = figures_of("attacks", tmp_path / "report.json", *options, codes=(0, 1))  # 2 s say little of p99
    assert "| slow-bodies | upload |" in shown
    others = figures["phases"][0]["others"]  # type: ignore[index]
    assert all(found["asked"] > 0 == found["failed"] for found in others.values())
