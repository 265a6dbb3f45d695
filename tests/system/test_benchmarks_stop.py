"""A benchmark that is told to stop leaves nothing behind."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from testing.system import shown
from testing.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]


def left_of(folder: Path) -> list[str]:
    """Living processes that name the folder in their arguments, or in what the system of a benchmark is told."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            told = [*process.cmdline(), process.environ().get("ELASTIC_IMAGES_DATA", "")]
            if any(str(folder) in text for text in told) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(shown(process))
    return found


@pytest.mark.parametrize(
    ("command", "begun"),
    [
        (["benchmarks.coherence", "--seconds", "600"], "s left"),
        (["benchmarks.elasticity", "--quick", "--rest", "1000000"], "uploaded in"),
    ],
    ids=["coherence", "elasticity"],
)
def test_a_run_that_is_told_to_stop_leaves_nothing(tmp_path: Path, command: list[str], begun: str) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", *command, "--folder", str(folder)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        told = iter(process.stderr)
        wait_for(lambda: begun in next(told, begun), "it has begun", seconds=90, every=0)
        assert left_of(folder) != []
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
        assert "everything that was started is gone" in "".join(told)
    assert list(folder.iterdir()) == []
    assert left_of(folder) == []
