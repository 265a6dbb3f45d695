"""Calls repeated while a part of the system restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from elastic_images.cli.api_client import ApiClient
from elastic_images.core.errors import Unavailable

R = TypeVar("R")

NO_ANSWER_PAUSES = 6
"""Pauses before giving up on a system that does not answer at all: 7 s in all, because it may not be running."""
PAUSES_SECONDS = (0.1, 0.3, 0.6, 1.0, 2.0, 3.0, *[3.0] * 18)
"""Pauses for a system that answers 503: a minute, as long as the supervisor waits for a part to start."""


def with_retries(call: Callable[[], R], *, sleep: Callable[[float], None] = time.sleep) -> R:
    """What `call` returns, retried for up to a minute while it raises Unavailable."""
    from elastic_images.http.internal_client import NoAnswer

    for tried, pause in enumerate(PAUSES_SECONDS):
        try:
            return call()
        except Unavailable as error:
            if isinstance(error, NoAnswer) and tried >= NO_ANSWER_PAUSES:
                raise
        sleep(pause)
    return call()


def all_images(api: ApiClient, prefix: str) -> Iterator[dict[str, Any]]:
    """The metadata of all images whose key starts with `prefix`, in key order. Retries each page."""
    return api.images(prefix, lambda path: with_retries(lambda: api.get(path)))
