"""The lock that a local node holds for its whole life: whoever can take it has proof that the node is dead."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def lock_path(run_folder: Path, slot: int) -> Path:
    """The lock file of a slot. It stays when its node is gone: removing it would let two nodes hold "the" lock."""
    return run_folder / f"slot-{slot}.lock"


def is_held(path: Path) -> bool:
    """Whether a process holds the lock (`flock`, exclusive). It is taken for a moment to find out.

    Raises:
        OSError: the file cannot be opened, and nothing is known.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who ask at once do not take each other for a node.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
