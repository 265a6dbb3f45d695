"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from elastic_images.core.errors import ElasticImagesError

WAIT_SECONDS = 60.0
"""A test that waits longer has failed. Far more than anything takes on a busy machine: it measures nothing."""
T = TypeVar("T")


def wait_for(
    condition: Callable[[], T | None], what: str = "it holds", *, seconds: float = WAIT_SECONDS, every: float = 0.02
) -> T:
    """The first true value of `condition`; an AssertionError that says `what` after that many seconds.

    Calls that the system refuses or does not answer, and things that are not found, count as not yet.
    """
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (ElasticImagesError, OSError, LookupError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {last!r}")
        time.sleep(every)
