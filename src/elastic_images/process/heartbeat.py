"""The heartbeat: a thread that tells the supervisor each second that this process lives, and how its loops turn."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping

BEAT_SECONDS = 1.0


class Heartbeat:
    """Writes `{"LOOP": seconds since its last turn, ...}` to `descriptor`, a line per second.

    Its thread does nothing else and never waits for the reader: a beat that finds the pipe full is left out. The
    descriptor stays open until the process ends.

    Args:
        loops: for each loop, a function that gives the moment of its last turn by `time.monotonic`.
    """

    def __init__(self, descriptor: int, loops: Mapping[str, Callable[[], float]]) -> None:
        self._descriptor = descriptor
        self._loops = loops
        os.set_blocking(descriptor, False)

    def start(self) -> None:
        """Start the thread, which ends with the process."""
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            ages = {name: round(max(0.0, now - last_turn()), 1) for name, last_turn in self._loops.items()}
            try:
                with contextlib.suppress(BlockingIOError):
                    os.write(self._descriptor, json.dumps(ages).encode() + b"\n")
            except OSError:
                return  # the supervisor is gone
            time.sleep(BEAT_SECONDS)
