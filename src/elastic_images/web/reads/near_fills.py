"""Completes near fills that the front has relayed, off its thread, which must not hash."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from queue import SimpleQueue

from elastic_images.core.fills import Fill
from elastic_images.web.reads.near_cache import NearCache
from elastic_images.web.reads.plane import ImagePlane

_log = logging.getLogger(__name__)
_MOST_WAITING = 64
_STOP_SECONDS = 2.0


class NearFills:
    """Checks answers of nodes and keeps them, on a thread of its own. `start` and `stop` are called once each."""

    def __init__(self, plane: ImagePlane, near: NearCache) -> None:
        self._plane = plane
        self._near = near
        self._waiting: SimpleQueue[tuple[Fill, Mapping[str, str], bytes] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="near-fills", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the fills that wait."""
        self._waiting.put(None)
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def complete(self, fill: Fill, told: Mapping[str, str], body: memoryview) -> bytes | memoryview:
        """End the fill soon, with a node's whole answer; gives the body to send. Never waits.

        The fill is abandoned if the image is too large to be kept, or if 64 others wait.
        """
        fits = self._near.fits(len(body))
        if not fits:
            self._near.reject(fill.key)
        if not fits or self._waiting.qsize() >= _MOST_WAITING:
            self.abandon(fill)
            return body
        copy = bytes(body)
        self._waiting.put((fill, told, copy))
        return copy

    def abandon(self, fill: Fill) -> None:
        """End the fill without a result, unless it has ended."""
        self._near.cache.abandon_fill(fill)

    def _run(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            fill, told, body = waiting
            try:
                self._plane.keep(self._near, fill, told, body)
            except Exception:  # noqa: BLE001 - without this thread no read would be kept any more
                _log.exception("a near fill failed")
            finally:
                self.abandon(fill)
