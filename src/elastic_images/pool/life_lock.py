"""The lock that a process holds for its whole life: taking it proves that the process is dead.

A `flock` ends with its process, however that ends, even if it was not reaped; it needs no parent. It proves nothing
about other machines. So the process notes its incarnations in the file: the next holder knows that these are gone, and
assumes nothing about others, which may live on other machines under the same id.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from elastic_images.core.errors import Conflict

MAX_FORMER = 16
"""How many former incarnations are remembered; older ones are fenced when they do not answer."""
_TRIES = 20
_PAUSE_SECONDS = 0.02
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def node_lock_path(data: Path, slot: int) -> Path:
    """The lock file of a node's slot. It is never removed: otherwise two processes could hold "the" lock."""
    return data / "run" / "nodes" / f"slot-{slot}.lock"


class LifeLock:
    """A lock, held until it is closed, and the notes in its file. Not safe to share between threads."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._place = _place(file)
        self.former = _former(file, self._place)
        """Incarnations noted by earlier holders; all of them are gone."""
        self.note(self.former)

    def note(self, incarnations: Sequence[str]) -> None:
        """Note the incarnations that are gone once the lock is free, beside the holder's process id.

        Best effort: on a full disk the lock must do without.
        """
        kept = {"pid": os.getpid(), "place": self._place, "incarnations": list(incarnations)}
        with contextlib.suppress(OSError, ValueError):  # ValueError: it was closed meanwhile
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), json.dumps(kept).encode())

    def close(self) -> None:
        """Release the lock."""
        self._file.close()

    def __enter__(self) -> LifeLock:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def hold(path: Path) -> LifeLock:
    """Take the lock until the result is closed.

    Raises:
        Conflict: a living process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    for _ in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A caller of `is_held` may have it for a moment.
            time.sleep(_PAUSE_SECONDS)
        else:
            return LifeLock(file)
    file.close()
    raise Conflict(f"Another process holds the lock {path}.")


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock. Takes it for a moment to find out.

    Raises:
        OSError: the file cannot be opened, so nothing is known.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so two callers at once do not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def holder(path: Path) -> int | None:
    """The id of the process that holds the lock; None if it is free or the holder has not noted it yet."""
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["pid"]) if is_held(path) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _place(file: IO[str]) -> str | None:
    """Identifies this file on this machine since its boot; a copy, here or in a machine image, does not match."""
    boot = _boot()
    status = os.fstat(file.fileno())
    return f"{boot} {status.st_dev} {status.st_ino}" if boot else None


def _boot() -> str | None:
    """The id of this machine's boot; None if it has none, and then nothing can be proven."""
    try:
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()  # noqa: S603
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _former(file: IO[str], place: str | None) -> tuple[str, ...]:
    file.seek(0)
    try:
        noted: Any = json.loads(file.read())
        if place is None or noted["place"] != place:
            return ()
        return tuple(str(incarnation) for incarnation in noted["incarnations"])[-MAX_FORMER:]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
