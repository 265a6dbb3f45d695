"""Runs wrk and reads what it measured."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

MARK = "BENCHMARK "
"""What the line begins with that our scripts make wrk print at its end (`scripts.py`)."""

_TIMEOUT_SECONDS = 20


class LoadFailed(Exception):
    """wrk did not run to its end, or what it got was not what it asked for. The message says what it printed."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk measured."""

    requests: int
    seconds: float
    received_bytes: int
    """Bodies and headers."""
    errors: int
    """Broken connections, answers of 400 and above, and answers that took longer than 20 s."""
    p50_ms: float
    p99_ms: float

    @property
    def requests_per_second(self) -> float:
        """Answers a second, errors left out."""
        return max(0, self.requests - self.errors) / self.seconds

    @property
    def bytes_per_answer(self) -> float:
        """Bytes received for each answer; 0 without answers."""
        return self.received_bytes / self.requests if self.requests else 0.0


def parse(output: str) -> Load:
    """The measurement from wrk's output. Raises LoadFailed if there is none."""
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    if not lines:
        raise LoadFailed(f"wrk printed no result:\n{output}")
    figures = json.loads(lines[-1][len(MARK) :])
    return Load(
        requests=figures["requests"],
        seconds=figures["microseconds"] / 1e6,
        received_bytes=figures["bytes"],
        errors=sum(figures["errors"].values()),
        p50_ms=figures["p50_microseconds"] / 1e3,
        p99_ms=figures["p99_microseconds"] / 1e3,
    )


def run(url: str, script: Path, *, connections: int, seconds: int) -> Load:
    """Load `url` for that many whole seconds with one thread of wrk: the other cores are for the target.

    Raises:
        LoadFailed: wrk is missing, failed or did not end.
    """
    command = [
        "wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s",
        "--timeout", f"{_TIMEOUT_SECONDS}s", "--script", str(script), url,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LoadFailed(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        raise LoadFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return parse(done.stdout)
