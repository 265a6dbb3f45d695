"""Steps 3 and 4 of a write: nobody who may be read keeps the old bytes when it is acknowledged.

The copies of the key's partition are told one after another, in the map's order: a destination that were told before
its source could be filled with old bytes by the source. Near caches are told when all nodes are done, since they are
filled by nodes. Then the pool is read again: a member or a copy that came meanwhile is reached by doing it all again.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from elastic_images.core.errors import Conflict, Unauthenticated, Unavailable
from elastic_images.core.partitions import partition_of
from elastic_images.core.pool_map import PoolMap
from elastic_images.http.internal_client import InternalClient
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import DEATH_SECONDS, FENCED, LIVE, PATIENCE_SECONDS, Member, PoolView

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.1


class InvalidationChannel(Protocol):
    """How an invalidation reaches a member."""

    def invalidate(self, member: Member, keys: Sequence[str], timeout_seconds: float) -> None:
        """Return when the member has dropped `keys` and spoiled their fills.

        Raises:
            Unavailable: it did not say so in time.
            Conflict: another incarnation answers at its address.
        """


class HttpInvalidationChannel:
    """Tells a member's control listener over HTTP. Safe to share between threads."""

    def __init__(self, http: InternalClient) -> None:
        self._http = http

    def invalidate(self, member: Member, keys: Sequence[str], timeout_seconds: float) -> None:
        """See `InvalidationChannel`."""
        # Rounded up, since connections are kept for each patience; nearly always it is the whole second.
        patience_seconds = math.ceil(timeout_seconds * 10) / 10
        told = {"incarnation": member.incarnation, "keys": list(keys)}
        self._http.notify(member.address, "/invalidate", told, timeout_seconds=patience_seconds)


class Invalidator:
    """Invalidates keys at every copy that can be read. Safe to share between threads."""

    def __init__(
        self,
        store: PoolStore,
        channel: InvalidationChannel,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._channel = channel
        self._clock = clock
        self._sleep = sleep
        self._together = ThreadPoolExecutor(8, thread_name_prefix="invalidate")
        self._lock = threading.Lock()
        self._view: PoolView | None = None
        self._fences = 0

    def close(self) -> None:
        """Wait for what is under way and end the threads."""
        self._together.shutdown()

    def statistics(self) -> dict[str, int]:
        """`fences`: how many members were fenced because they did not answer, since the start."""
        return {"fences": self._fences}

    def invalidate(self, keys: Sequence[str], deadline: float) -> None:
        """Return when no member can answer any of `keys` from what it kept before this call.

        A member that does not answer for 1 s is fenced and, 3.5 s later, dead. `deadline` is by this object's clock.

        Raises:
            Unavailable: the deadline passed; some copy may still be readable.
        """
        view = self._present()
        while True:
            self._tell_everyone(keys, view, deadline)
            again = self._present()
            if again.stamp == view.stamp:
                return
            if self._clock() >= deadline:
                raise Unavailable("The pool changes all the time; the change is kept and will be finished.")
            view = again

    def _present(self) -> PoolView:
        """The pool as it is now. Read whole where its stamp, read now, is another than that of the view at hand.

        What changes without the stamp, the epochs that members have named, means nothing here.
        """
        view = self._view
        if view is None or self._store.stamp() != view.stamp:
            view = self._view = self._store.read()
        return view

    def _tell_everyone(self, keys: Sequence[str], view: PoolView, deadline: float) -> None:
        for round_of_slots in rounds(keys, view.map):
            for slot, its_keys in round_of_slots.items():
                for member in view.incarnations(slot):
                    self._reach(member, its_keys, deadline)
        near = view.near_caches()
        if len(near) == 1:
            self._reach(near[0], keys, deadline)
        else:
            told = [self._together.submit(self._reach, member, keys, deadline) for member in near]
            for one in told:
                one.result()

    def _reach(self, member: Member, keys: Sequence[str], deadline: float) -> None:
        """Tell `member`, or fence it and wait until it is dead. An answer at any time is as good as its death."""
        patience_ends = self._clock() + PATIENCE_SECONDS
        dead_at: float | None = None
        while not self._told(member, keys, (dead_at or patience_ends) - self._clock()):
            state = self._store.state_of(member.incarnation)
            now = self._clock()
            if state not in (LIVE, FENCED):
                return
            if dead_at is None and (state == FENCED or now >= patience_ends):
                if state == LIVE and self._store.fence(member.incarnation):
                    self._note_fence(member)
                dead_at = self._clock() + DEATH_SECONDS
            elif dead_at is not None and now >= dead_at:
                self._store.mark_dead(member.incarnation)
                return
            if now >= deadline:
                raise Unavailable("A cache node does not answer; the change is kept and will be finished.")
            self._sleep(_PAUSE_SECONDS)

    def _note_fence(self, member: Member) -> None:
        with self._lock:
            self._fences += 1
        _log.warning("%s (%s) does not answer invalidations and is fenced", member.id, member.incarnation)

    def _told(self, member: Member, keys: Sequence[str], seconds: float) -> bool:
        try:
            self._channel.invalidate(member, keys, min(max(seconds, _PAUSE_SECONDS), PATIENCE_SECONDS))
        except (Unavailable, Conflict, Unauthenticated):
            return False
        return True


def rounds(keys: Sequence[str], pool_map: PoolMap | None) -> list[dict[int, list[str]]]:
    """For each place in the order of copies, the slots to tell there and the keys to tell them.

    One key gives one slot a round. Keys of several partitions may need A before B and B before A; in rounds each
    partition keeps its own order. No map gives no rounds.
    """
    if pool_map is None:
        return []
    result: list[dict[int, list[str]]] = []
    for key in keys:
        for place, slot in enumerate(pool_map.partitions[partition_of(key)].copies):
            if place == len(result):
                result.append({})
            result[place].setdefault(slot, []).append(key)
    return result
