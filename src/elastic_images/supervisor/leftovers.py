"""Kills nodes that do not exit by themselves, such as stopped ones."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from elastic_images.core.assignment import MAX_NODES
from elastic_images.pool.life_lock import holder, node_lock_path


def kill_nodes(data: Path) -> None:
    """Kill every node of the data folder whose slot's lock is still held."""
    for slot in range(MAX_NODES):
        pid = holder(node_lock_path(data, slot))
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
