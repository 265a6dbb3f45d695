"""A thread that does one job again and again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from elastic_images.core.errors import ElasticImagesError

_log = logging.getLogger(__name__)


class PeriodicLoop:
    """Calls `work` in a thread of its own, with a pause after each call. No failure ends the loop.

    A failure is logged once while it lasts, and so is the recovery. `wake` and `stop` may be called from any thread.

    Args:
        name: the thread's name, for the log too.
        work: the job; its result is ignored.
        interval_seconds: the pause after each call; a function is asked every time, and must not raise.
        delay_seconds: the pause before the first call.
        retry_seconds: the pause after a call that failed, if it differs from `interval_seconds`.
        expected_errors: logged without a traceback.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        interval_seconds: float | Callable[[], float],
        *,
        delay_seconds: float = 0.0,
        retry_seconds: float | None = None,
        expected_errors: tuple[type[Exception], ...] = (ElasticImagesError,),
    ) -> None:
        self._work = work
        self._interval = interval_seconds if callable(interval_seconds) else lambda: interval_seconds
        self._delay_seconds = delay_seconds
        self._retry_seconds = retry_seconds
        self._expected_errors = expected_errors
        self._failure: type[Exception] | None = None
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread. Call it once."""
        self._thread.start()

    @property
    def works(self) -> bool:
        """Whether it is running and its last call did not fail."""
        return self._thread.is_alive() and self._failure is None

    @property
    def has_ended(self) -> bool:
        """Whether the thread is gone although nobody stopped it."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._stopping.is_set()

    def wake(self) -> None:
        """End the present pause, or skip the next one if `work` is running."""
        self._wake.set()

    def stop(self, timeout_seconds: float = 15.0) -> None:
        """Ask the thread to end after the present call and wait for it. Does nothing before `start`."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        self._pause(self._delay_seconds)
        while not self._stopping.is_set():
            self._pause(self._call())

    def _call(self) -> float:
        """Call `work` once. Returns how long to pause, in seconds."""
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - the next call may succeed
            if type(error) is not self._failure:
                known = isinstance(error, self._expected_errors)
                _log.warning("%s failed: %s", self._thread.name, error, exc_info=not known)
            self._failure = type(error)
            return self._interval() if self._retry_seconds is None else self._retry_seconds
        if self._failure is not None:
            _log.info("%s works again", self._thread.name)
            self._failure = None
        return self._interval()

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()
