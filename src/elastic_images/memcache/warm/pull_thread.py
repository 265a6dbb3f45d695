"""Warming: a node pulls the partitions it gained from their previous owners, hottest first, as much as fits.

Moving the hottest entries first follows ElMem (U. U. Hafeez, M. Wajahat, A. Gandhi: "ElMem: Towards an Elastic
Memcached System", ICDCS 2018). `plan` chooses what to move, `pull` moves it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.memcache.warm.pull import Pull
from elastic_images.memcache.warm.sources import PullSources
from elastic_images.pool.view import PoolView

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a node's pull has come."""

    epoch: int = 0
    """The epoch of the map that it belongs to."""
    done: bool = True
    keys: int = 0
    bytes: int = 0


class PullThread:
    """Runs a pull on its own thread whenever `consider` gets a map that calls for one.

    At 0 bytes a second it pulls nothing and reports itself done at once.
    """

    def __init__(
        self,
        slot: int,
        cache: CoherentCache,
        sources: PullSources,
        *,
        bytes_per_second: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slot = slot
        self._cache = cache
        self._sources = sources
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._wake = threading.Condition()
        self._wanted: PoolView | None = None
        self._last = ("", 0)
        """Incarnation and epoch of the last pull: a new incarnation has nothing of what an earlier one pulled."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pull", daemon=True)
        self.progress = PullProgress()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the current pull and the thread."""
        with self._wake:
            self._stopping.set()
            self._wake.notify()
        if self._thread.ident is not None:  # otherwise it was never started
            self._thread.join(2.0)

    def consider(self, view: PoolView) -> None:
        """Pull what an open resize brings here, by a view whose map the cache has already taken. Does not wait."""
        pull = (self._cache.incarnation, self._cache.epoch)
        if view.map is None or view.map.epoch != self._cache.epoch or pull == self._last:
            return
        if not gained(view, self._slot):
            return
        with self._wake:
            self._last = pull
            self.progress = PullProgress(view.map.epoch, done=self._bytes_per_second == 0)
            self._wanted = None if self.progress.done else view
            self._wake.notify()

    def figures(self) -> dict[str, Any]:
        """The progress, for `/stats`."""
        return asdict(self.progress)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._wanted is not None or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                view, self._wanted = self._wanted, None
            try:
                if view is not None:
                    self._pull(view)
            except Exception:  # noqa: BLE001 - pulls are optional; without them reads fill the cache
                _log.exception("pull failed")
            with self._wake:
                if self._wanted is None:
                    self.progress = replace(self.progress, done=True)

    def _pull(self, view: PoolView) -> None:
        pull = Pull(
            self._slot,
            self._cache,
            self._sources.live(view, gained(view, self._slot)),
            epoch=view.map.epoch if view.map else 0,
            bytes_per_second=self._bytes_per_second,
            stopping=self._stopping,
            clock=self._clock,
        )
        pull.run(self._advance)

    def _advance(self, pulled_bytes: int) -> None:
        with self._wake:
            before = self.progress
            self.progress = replace(before, keys=before.keys + 1, bytes=before.bytes + pulled_bytes)


def gained(view: PoolView, slot: int) -> dict[int, list[int]]:
    """The partitions that an open resize brings to `slot`, by the slot of their previous owner."""
    found: dict[int, list[int]] = {}
    for partition, state in enumerate(view.map.partitions if view.map else ()):
        if state.owner == slot and state.previous is not None:
            found.setdefault(state.previous, []).append(partition)
    return found
