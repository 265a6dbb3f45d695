"""Retries with exponential backoff and jitter, until a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0


class Repeater:
    """Runs calls until they succeed, fail permanently, or reach the deadline. Safe to share between threads.

    The n-th pause is random, up to `FIRST_PAUSE_SECONDS` x 2^n and `LONGEST_PAUSE_SECONDS`, so that callers that fail
    together do not retry together.
    """

    def __init__(
        self,
        is_temporary: Callable[[Exception], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Random | None = None,
    ) -> None:
        self._is_temporary = is_temporary
        self._clock = clock
        self._sleep = sleep
        self._random = random or Random()  # noqa: S311 - not a secret

    def run(self, call: Callable[[], T], deadline_seconds: float) -> T:
        """The result of `call`, which is not retried after `deadline_seconds`.

        Raises:
            Exception: the last error of `call`.
        """
        end = self._clock() + deadline_seconds
        longest = FIRST_PAUSE_SECONDS
        while True:
            try:
                return call()
            except Exception as error:
                pause = self._random.uniform(0, longest)
                if not self._is_temporary(error) or self._clock() + pause >= end:
                    raise
            self._sleep(pause)
            longest = min(2 * longest, LONGEST_PAUSE_SECONDS)
