"""When a call that met a busy or absent server is made again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from elastic_images.client.errors import NotConnected
from elastic_images.core.errors import ElasticImagesError, TooManyRequests, Unavailable

R = TypeVar("R")
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Retries:
    """How long calls are repeated after 503, 429, and connections that failed or broke.

    Pauses grow from 0.1 to 3 s, are never shorter than the answer's `Retry-After`, and have up to half of themselves
    added by chance, so that many clients do not come back together. A call that would have to wait longer than it may
    fails at once.
    """

    seconds: float = 60.0
    """From the beginning of the call: as long as the system may take to replace a part of itself."""
    unconnected_seconds: float = 7.0
    """While no connection can be made at all, since the system may not be running."""

    def run(
        self,
        attempt: Callable[[], R],
        *,
        only_unsent: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> R:
        """What `attempt` returns, in the end. `only_unsent`: repeat only what the server certainly has not done.

        Raises what the last attempt raised.
        """
        until, unconnected_until, longest = clock() + self.seconds, None, _FIRST_PAUSE_SECONDS
        while True:
            try:
                return attempt()
            except (Unavailable, TooManyRequests) as error:
                now = clock()
                if not isinstance(error, NotConnected):
                    unconnected_until = None
                elif unconnected_until is None:
                    unconnected_until = now + self.unconnected_seconds
                # Not for secrets; nobody gains by guessing it.
                pause = max(longest, error.retry_after_seconds or 0) * random.uniform(1, 1.5)  # noqa: S311
                last = min(until, until if unconnected_until is None else unconnected_until)
                if now + pause > last or (only_unsent and not _is_unsent(error)):
                    raise
            sleep(pause)
            longest = min(2 * longest, _LONGEST_PAUSE_SECONDS)


NO_RETRIES = Retries(0, 0)
"""Each call is made once."""


def _is_unsent(error: ElasticImagesError) -> bool:
    return isinstance(error, NotConnected | TooManyRequests)
