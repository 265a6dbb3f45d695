"""Signals to a process that is not our child, without hitting a stranger that was given its number since."""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process's number and when it started: together they name one process for good."""

    pid: int
    started: str

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this number now; None where there is none."""
        started = _started(pid)
        return cls(pid, started) if started else None

    def signal(self, number: int) -> bool:
        """Send a signal, 0 for none. False: the process is gone."""
        if ProcessId.of(self.pid) != self:
            return False
        try:
            os.kill(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def _started(pid: int) -> str:
    if _PROC.joinpath("self").exists():
        try:
            stat = _PROC.joinpath(str(pid), "stat").read_text()
            boot = _PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""
        # The name, in parentheses, may hold anything; field 22 counts from the front, so 20 from behind the name.
        return f"{boot} {stat.rpartition(')')[2].split()[19]}"
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
