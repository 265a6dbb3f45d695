"""The lock of the data folder, for commands that need the system stopped."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elastic_images.core.errors import Conflict


@contextmanager
def stopped_system(data: Path, advice: str = "stop it first.") -> Iterator[None]:
    """Hold the lock that a running system holds on its data folder. Raises Conflict, with `advice`, if one runs."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"A system is running on {data}: {advice}") from None
        yield
