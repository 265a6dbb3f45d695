"""The lock that a process holds for its whole life: whoever can take it has proof that the process is dead.

A `flock` ends with its process, however that ends, and also where nobody has reaped it; it needs no parent.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from typing import IO

from elastic_images.core.errors import Conflict

_TRIES = 20
_PAUSE_SECONDS = 0.02


def node_lock_path(data: Path, slot: int) -> Path:
    """The lock file of a node's slot. It stays when its node is gone: removing it would let two hold "the" lock."""
    return data / "run" / "nodes" / f"slot-{slot}.lock"


def hold(path: Path) -> IO[str]:
    """Take the lock, for as long as the file that is given back is open; it says who holds it.

    Raises:
        Conflict: a living process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    for _ in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Whoever asks `is_held` has it for a moment.
            time.sleep(_PAUSE_SECONDS)
        else:
            # Who holds it is only told for those who clean up; on a full disk the lock itself must do.
            with contextlib.suppress(OSError):
                os.ftruncate(file.fileno(), 0)
                os.write(file.fileno(), json.dumps({"pid": os.getpid()}).encode())
            return file
    file.close()
    raise Conflict(f"Another process holds {path}.")


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock. It is taken for a moment to find out.

    Raises:
        OSError: the file cannot be opened, and nothing is known.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who ask at once do not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def holder(path: Path) -> int | None:
    """The id of the process that holds the lock; None where none does, or it has not said so yet."""
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["pid"]) if is_held(path) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
