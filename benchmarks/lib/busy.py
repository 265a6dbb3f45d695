"""Processes that take the processor from what is measured."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

_BUSY = "import os; parent = os.getppid()\nwhile os.getppid() == parent: sum(range(100_000))"
"""Computes until its parent is gone, however that ends."""


@contextlib.contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """So many busy processes while the block runs."""
    # Each in a session of its own, as our apps: Linux shares the processors among sessions first (autogroup).
    processes = [subprocess.Popen([sys.executable, "-c", _BUSY], start_new_session=True) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
