"""Warming: a node pulls the partitions that it gained from their previous owners, hottest first, as much as fits.

It lists keys, registers a fill for each, and only then asks for the bytes: an invalidation that falls between spoils
the fill. What is hotter here stays here, so that the hottest entries of all the nodes that shared the work remain
(I8). Full nodes that exchange partitions wait for each other: what one has handed over makes room for what it gains,
and less has to be evicted on the way. The rate is bounded, so that reads are never starved. Moving the hottest first
follows ElMem (U. U. Hafeez, M. Wajahat, A. Gandhi: "ElMem: Towards an Elastic Memcached System", ICDCS 2018).
"""

from __future__ import annotations

import heapq
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from elastic_images.core.coherence import CoherentCache, Fill
from elastic_images.core.entry import Entry
from elastic_images.core.errors import ElasticImagesError, Unavailable
from elastic_images.core.keys import quote_key
from elastic_images.memcache.node import PullGivenUp
from elastic_images.pool.entries import entry_from_answer
from elastic_images.pool.node_client import NodeClient
from elastic_images.pool.view import Member, PoolView

_log = logging.getLogger(__name__)
_PAGE_KEYS = 2_000
"""Making the answer to this holds a source up, and its readers with it."""
_MISSES_BEFORE_END = 200
"""So many listed entries in a row that found no room: what follows is colder still."""
_ROOM_SECONDS = {True: 0.1, False: 0.5}
"""How long to wait for room before something colder is evicted (True), or the entry is left where it is."""
_LOOK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a node's pull is."""

    epoch: int = 0
    """Of the map that it belongs to."""
    done: bool = True
    keys: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, order=True)
class _Listed:
    age_seconds: float
    """Since its last use, at the moment when the pull began."""
    key: str
    size_bytes: int
    source: int


class Puller:
    """Pulls on a thread of its own when `consider` is given a map that says so.

    With 0 bytes a second it pulls nothing, and says at once that it is done.
    """

    def __init__(
        self,
        slot: int,
        cache: CoherentCache,
        client: NodeClient,
        *,
        bytes_per_second: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slot = slot
        self._cache = cache
        self._client = client
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._wake = threading.Condition()
        self._wanted: PoolView | None = None
        self._waited_in_vain: dict[bool, int] = {}
        """How much was handed over when room was last waited for in vain, by whether something could be evicted."""
        self._seen = ("", 0)
        """The last pull's incarnation and epoch: a new life has nothing of what was pulled before."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="pull", daemon=True)
        self.progress = PullProgress()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End what is under way, and the thread."""
        with self._wake:
            self._stopping = True
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
                self._wake.wait_for(lambda: self._wanted is not None or self._stopping)
                if self._stopping:
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
        epoch = view.map.epoch if view.map else 0
        sources = gained(view, self._slot)
        members = {source: member for source in sources if (member := view.live_node(source))}
        pace = _Pace(self._bytes_per_second, self._clock)
        began = self._clock()
        in_vain = 0
        self._waited_in_vain = {}
        exchanges = any(state.previous == self._slot for state in (view.map.partitions if view.map else ()))
        listings = [self._listed(source, member, sources[source]) for source, member in members.items()]
        for listed in heapq.merge(*listings):
            if self._is_over(epoch) or in_vain >= _MISSES_BEFORE_END:
                return
            age_seconds = listed.age_seconds + self._clock() - began
            if exchanges:
                self._await_room(listed.size_bytes, age_seconds)
            pulled_bytes = self._pull_one(listed, members[listed.source], epoch, age_seconds)
            if pulled_bytes is None:
                in_vain += 1
                continue
            in_vain = 0
            self._advance(pulled_bytes)
            with self._wake:
                self._wake.wait_for(lambda: self._stopping, pace.pause_after(pulled_bytes))

    def _advance(self, pulled_bytes: int) -> None:
        with self._wake:
            before = self.progress
            self.progress = replace(before, keys=before.keys + 1, bytes=before.bytes + pulled_bytes)

    def _is_over(self, epoch: int) -> bool:
        """The map has moved on: what is still to be pulled is no longer to be had from its previous owner."""
        return self._stopping or self._cache.epoch != epoch

    def _listed(self, source: int, member: Member, partitions: list[int]) -> Iterator[_Listed]:
        """The entries of a previous owner, hottest first; ends where it no longer answers."""
        cursor: int | None = 0
        wanted = ",".join(map(str, partitions))
        while cursor is not None:
            path = f"/keys?partitions={wanted}&limit={_PAGE_KEYS}&cursor={cursor}"
            try:
                answer = self._client.get(member.data_address, path, {})
            except Unavailable:
                return
            if answer.status != 200:
                return
            page = json.loads(answer.body)
            for item in page["keys"]:
                yield _Listed(item["age_seconds"], item["key"], item["size_bytes"], source)
            cursor = page["next"]

    def _await_room(self, size_bytes: int, age_seconds: float) -> None:
        """Wait while others take what moves away from here, longer where there is nothing colder to evict instead.

        Where nobody took anything meanwhile, the next entry does not wait again.
        """
        while not self._stopping and not self._cache.has_spare_room(size_bytes):
            seen = self._cache.handed_over
            may_evict = self._cache.would_keep(size_bytes, age_seconds)
            if self._waited_in_vain.get(may_evict) == seen:
                return
            seconds = _ROOM_SECONDS[may_evict] + 2 * size_bytes / self._bytes_per_second
            if not self._hands_over_more(seen, seconds):
                self._waited_in_vain[may_evict] = seen
                return

    def _hands_over_more(self, seen: int, seconds: float) -> bool:
        gives_up_at = self._clock() + seconds
        while self._cache.handed_over == seen:
            if self._stopping or self._clock() >= gives_up_at:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def _pull_one(self, listed: _Listed, member: Member, epoch: int, age_seconds: float) -> int | None:
        """Bring one entry in. Its bytes; None where it was not kept."""
        if not self._cache.would_keep(listed.size_bytes, age_seconds):
            return None
        fill = self._cache.begin_pull(listed.key, epoch)
        if fill is None:
            return 0
        entry = None
        try:
            entry = self._fetch(fill, member)
        finally:
            if entry is None:
                self._cache.fail(fill, PullGivenUp("The previous owner has it no longer."))
        if entry is None:
            return 0
        fill.from_previous = True
        return len(entry.body) if self._cache.complete_pull(fill, entry, age_seconds) else None

    def _fetch(self, fill: Fill, member: Member) -> Entry | None:
        try:
            answer = self._client.get(
                member.data_address, f"/peer/{quote_key(fill.key)}", {"X-Incarnation": member.incarnation}
            )
            return entry_from_answer(fill.key, answer.headers, answer.body) if answer.status == 200 else None
        except ElasticImagesError:
            return None


class _Pace:
    """Keeps a rate: tells how long to pause after each piece."""

    def __init__(self, bytes_per_second: int, clock: Callable[[], float]) -> None:
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._due_at = clock()

    def pause_after(self, size_bytes: int) -> float:
        now = self._clock()
        # Time that was lost is not made up for: in a burst nothing would be handed over in exchange.
        self._due_at = max(self._due_at, now) + size_bytes / self._bytes_per_second
        return max(0.0, self._due_at - now)


def gained(view: PoolView, slot: int) -> dict[int, list[int]]:
    """The partitions that an open resize brings to `slot`, by their previous owner's slot."""
    found: dict[int, list[int]] = {}
    for partition, state in enumerate(view.map.partitions if view.map else ()):
        if state.owner == slot and state.previous is not None:
            found.setdefault(state.previous, []).append(partition)
    return found
