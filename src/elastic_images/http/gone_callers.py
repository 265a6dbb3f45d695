"""Long calls to another process on behalf of clients: tells that process when the client has left.

A thread that waits for an answer cannot look for its own client, so one loop does it for all.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from elastic_images.core.errors import ElasticImagesError

Gone = Callable[[], bool]
GONE_VARIABLE = "elastic_images.gone"
"""In a WSGI environ from our front: whether the client has left (`Gone`)."""


def gone_of(environ: Mapping[str, Any]) -> Gone | None:
    """Whether the client of this request has left; None where nobody knows."""
    found: Gone | None = environ.get(GONE_VARIABLE)
    return found


class GoneCallers:
    """The calls under way. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[object, tuple[Gone, Callable[[], object]]] = {}

    @contextlib.contextmanager
    def call(self, gone: Gone | None, tell: Callable[[], object]) -> Iterator[None]:
        """The block is a call. While it runs, `tell` is called at each look that finds its client gone."""
        if gone is None:
            yield
            return
        me = object()
        with self._lock:
            self._calls[me] = gone, tell
        try:
            yield
        finally:
            with self._lock:
                del self._calls[me]

    def look(self) -> None:
        """Look for clients that have left. Call it every second or so."""
        with self._lock:
            calls = list(self._calls.values())
        for gone, tell in calls:
            if gone():
                with contextlib.suppress(ElasticImagesError):
                    tell()
