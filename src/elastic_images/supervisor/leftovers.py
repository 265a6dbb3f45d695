"""Nodes that do not leave by themselves, a stopped one for example."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from pathlib import Path


def kill_nodes(data: Path) -> None:
    """Kill every node of the data folder that still holds its slot's lock; the lock file names its process id."""
    for file in (data / "run" / "nodes").glob("slot-*.lock"):
        with contextlib.suppress(OSError, ValueError), file.open("r", encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.kill(int(stream.read().split()[0]), signal.SIGKILL)
