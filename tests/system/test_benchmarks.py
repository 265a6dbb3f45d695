"""The benchmark runs, says what it measured, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from testing.system import shown
from testing.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, str(ROOT / "benchmarks" / "serving.py"), "--quick", "--working-set-mb", "1"]
MISSING = [tool for tool in ("wrk", "nginx", "memcached") if shutil.which(tool) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs the packages {' '.join(MISSING)}")


def left_of(folder: Path) -> list[str]:
    """Living processes that name the folder in their arguments or their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            told = [*process.cmdline(), *process.environ().values()]
            if any(str(folder) in text for text in told) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(shown(process))
    return found


def test_a_quick_run_gives_tables_and_json(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    folder = tmp_path / "work"
    folder.mkdir()
    only = ["--only", "^(read/hot|upload|miss)", "--json", str(report), "--folder", str(folder)]
    done = subprocess.run([*COMMAND, *only], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert "| web / nginx + memcached |" in done.stdout
    figures = json.loads(report.read_text())
    measured = {result["scenario"]: result["targets"] for result in figures["results"]}
    assert set(measured["read/hot/10KB/16"]) == {"web", "node", "nginx", "nginx + memcached", "Flask"}
    for targets in measured.values():
        for name, target in targets.items():
            assert target["requests_per_second"] > 0, (name, target)
            assert target["errors"] == 0, (name, target)
    assert figures["memory"]["idle_mb"]["total"] > 0
    assert list(folder.iterdir()) == []
    assert left_of(folder) == []


def test_a_run_that_is_told_to_stop_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    only = ["--only", "read/hot", "--rounds", "1000", "--folder", str(folder)]
    with subprocess.Popen([*COMMAND, *only], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = iter(process.stderr)
        # The line is written when peers and system run and are filled.
        wait_for(lambda: "filled" in next(told, "filled"), "it has begun", seconds=90, every=0)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)  # impatience changes nothing
        assert process.wait(60) == 130
        assert "everything that was started is gone" in "".join(told)
    assert list(folder.iterdir()) == []
    assert left_of(folder) == []
