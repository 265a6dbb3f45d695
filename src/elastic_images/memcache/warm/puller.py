"""Warming: a node pulls the partitions that it gained from their previous owners, hottest first, as much as fits.

Moving the hottest first follows ElMem (U. U. Hafeez, M. Wajahat, A. Gandhi: "ElMem: Towards an Elastic Memcached
System", ICDCS 2018). What is moved is chosen in `pull_plan`, and moved in `pulling`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from elastic_images.core.coherence import CoherentCache
from elastic_images.memcache.warm.pull import Pull
from elastic_images.memcache.warm.sources import PullSources
from elastic_images.pool.view import PoolView

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a node's pull is."""

    epoch: int = 0
    """Of the map that it belongs to."""
    done: bool = True
    keys: int = 0
    bytes: int = 0


class Puller:
    """Pulls on a thread of its own when `consider` is given a map that says so.

    With 0 bytes a second it pulls nothing, and says at once that it is done.
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
        self._seen = ("", 0)
        """The last pull's incarnation and epoch: a new life has nothing of what was pulled before."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pull", daemon=True)
        self.progress = PullProgress()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End what is under way, and the thread."""
        with self._wake:
            self._stopping.set()
            self._wake.notify()
        if self._thread.ident is not None:  # else it was stopped before it was started
            self._thread.join(2.0)

    def consider(self, view: PoolView) -> None:
        """Look at a view that the cache has already obeyed; pull what its open resize brings here. Does not wait."""
        pull = (self._cache.incarnation, self._cache.epoch)
        if view.map is None or view.map.epoch != self._cache.epoch or pull == self._seen:
            return
        if not gained(view, self._slot):
            return
        with self._wake:
            self._seen = pull
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
            except Exception:  # noqa: BLE001 - a pull is a help; without it entries come by reads
                _log.exception("pulling failed")
            with self._wake:
                if self._wanted is None:
                    self.progress = replace(self.progress, done=True)

    def _pull(self, view: PoolView) -> None:
        partitions = {source: slots for source, slots in gained(view, self._slot).items() if view.live_node(source)}
        pull = Pull(
            self._slot,
            self._cache,
            self._sources.of(view, partitions),
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
    """The partitions that an open resize brings to `slot`, by their previous owner's slot."""
    found: dict[int, list[int]] = {}
    for partition, state in enumerate(view.map.partitions if view.map else ()):
        if state.owner == slot and state.previous is not None:
            found.setdefault(state.previous, []).append(partition)
    return found
