"""The thread on which the resizer works."""

from __future__ import annotations

import logging
import threading

from sqlalchemy.exc import OperationalError

from elastic_images.autoscaler.alarm import Alarm
from elastic_images.autoscaler.resizer import Resizer
from elastic_images.core.errors import ElasticImagesError

_log = logging.getLogger(__name__)
_BUSY_PAUSE_SECONDS = 0.03
_IDLE_PAUSE_SECONDS = 0.25
_TROUBLE_PAUSE_SECONDS = 1.0


class ResizerLoop:
    """Takes one step after another: quickly while something is under way, four times a second else."""

    def __init__(self, resizer: Resizer, alarm: Alarm) -> None:
        self._resizer = resizer
        self._alarm = alarm
        self._trouble: type[Exception] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resizer", daemon=True)

    def start(self) -> None:
        """Adopt the nodes that are alive and start the thread."""
        self._resizer.adopt()
        self._thread.start()

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """End the thread; nodes go on living. Does nothing where it was never started."""
        self._stopping.set()
        self._alarm.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause = self._step()
            if pause:
                self._alarm.wait(pause)

    def _step(self) -> float:
        """One step; gives how long to pause after it."""
        try:
            done = self._resizer.step()
        except Exception as error:  # noqa: BLE001 - whatever one round meets, the loop goes on
            self._tell(error)
            return _TROUBLE_PAUSE_SECONDS
        if self._trouble is not None:
            _log.info("the resizer works again")
            self._trouble = None
        if done:
            return 0.0
        return _BUSY_PAUSE_SECONDS if self._resizer.status.busy else _IDLE_PAUSE_SECONDS

    def _tell(self, error: Exception) -> None:
        """Log a trouble once, not every second for as long as it lasts."""
        if type(error) is not self._trouble:
            known = isinstance(error, ElasticImagesError | OperationalError)
            _log.warning("a round of the resizer failed: %s", error, exc_info=not known)
        self._trouble = type(error)
