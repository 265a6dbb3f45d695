"""A thread that does one thing again and again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from elastic_images.core.errors import Unavailable

_log = logging.getLogger(__name__)


class Loop:
    """Runs `work` at once and then every `period_seconds`, in a thread of its own. What it raises is logged."""

    def __init__(self, name: str, work: Callable[[], object], period_seconds: float) -> None:
        self._work = work
        self._period_seconds = period_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread. To be called once."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 15.0) -> None:
        """Ask the thread to end after its present round and wait for it. Does nothing before `start`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except Unavailable as error:
                _log.warning("%s: %s", self._thread.name, error)
            except Exception:  # noqa: BLE001 - a loop that ends at its first trouble is worse than one that reports it
                _log.exception("%s failed; it goes on", self._thread.name)
            self._stopping.wait(self._period_seconds)
