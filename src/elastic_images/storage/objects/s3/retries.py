"""Calls that are made again when they fail for the moment: with growing, random pauses, and an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0


class Repeater:
    """Runs calls until they succeed, fail for good, or the deadline comes. Safe to share between threads.

    The n-th pause is a random part of `FIRST_PAUSE_SECONDS` x 2^n, at most `LONGEST_PAUSE_SECONDS`: callers that failed
    together do not come back together.
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
        self._random = random or Random()  # noqa: S311 - nobody gains by guessing a pause

    def run(self, call: Callable[[], T], deadline_seconds: float) -> T:
        """What `call` gives. It is not begun again once `deadline_seconds` have passed.

        Raises:
            Exception: the last one that `call` raised.
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
