"""What the machine's broker counts, for the metrics of the processes that use it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from elastic_images.core.errors import Unavailable

_FRESH_SECONDS = 5.0
_NOTHING: Mapping[str, Any] = {"outcomes": {}, "seconds": {}}


class BrokerFigures:
    """Asks at most every 5 s; gives the last known figures if there is no answer. Safe to share between threads."""

    def __init__(
        self, ask: Callable[[], Mapping[str, Any]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`ask`: `ImagingClient.figures`."""
        self._ask = ask
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known = _NOTHING
        self._until = float("-inf")

    def jobs(self) -> Mapping[str, int]:
        """Jobs that have ended, by `KIND.OUTCOME`."""
        found: Mapping[str, int] = self._read()["outcomes"]
        return found

    def seconds(self) -> Mapping[str, float]:
        """What they took from their arrival to their answer, by kind."""
        found: Mapping[str, float] = self._read()["seconds"]
        return found

    def others(self) -> Mapping[str, float]:
        """The others, by their names in `metrics.definitions`."""
        return {f"imaging_{name}": value for name, value in self._read().items() if isinstance(value, int)}

    def _read(self) -> Mapping[str, Any]:
        with self._lock:
            if self._monotonic() >= self._until:
                with contextlib.suppress(Unavailable):
                    self._known = self._ask()
                self._until = self._monotonic() + _FRESH_SECONDS
            return self._known
