"""Figures that are read from the database, but not at every scrape."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

_log = logging.getLogger(__name__)
_SECONDS = 5.0


class CachedFigures:
    """Calls `read` at most every 5 s; gives the last known figures if it fails. Safe to share between threads."""

    def __init__(
        self, read: Callable[[], Mapping[str, float]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._figures: Mapping[str, float] = {}
        self._until = float("-inf")

    def __call__(self) -> Mapping[str, float]:
        """The figures."""
        with self._lock:
            if self._monotonic() >= self._until:
                self._until = self._monotonic() + _SECONDS
                try:
                    self._figures = self._read()
                except Exception as error:  # noqa: BLE001 - a scrape must not fail with the database
                    _log.debug("figures cannot be read: %s", error)
            return self._figures
