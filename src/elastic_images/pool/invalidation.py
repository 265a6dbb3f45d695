"""Steps 3 and 4 of a write: before it is acknowledged, no member that may be read keeps the old bytes.

The copies of the key's partition are invalidated one after another, in the map's order: a destination invalidated
before its source could fill itself with old bytes from the source. Near caches come after all nodes, because nodes fill
them. Then the pool is read again: if a member or a copy has been added meanwhile, everything is repeated.
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
from elastic_images.pool.view import DEAD_AFTER_SECONDS, FENCE_AFTER_SECONDS, FENCED, LIVE, Member, PoolView

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.1
MAX_PATIENCE_SECONDS = 5.0
"""Even a starved writer fences a member after this, so its lease expires before the write's deadline (10 s)."""


class InvalidationChannel(Protocol):
    """How invalidations are sent to members."""

    def send(self, member: Member, keys: Sequence[str], timeout_seconds: float) -> None:
        """Return once the member has dropped `keys` and spoiled their fills.

        Raises:
            Unavailable: it did not confirm in time.
            Conflict: another incarnation answers at its address.
        """


class HttpInvalidationChannel:
    """Sends to a member's control listener over HTTP. Safe to share between threads."""

    def __init__(self, http: InternalClient) -> None:
        self._http = http

    def send(self, member: Member, keys: Sequence[str], timeout_seconds: float) -> None:
        """See `InvalidationChannel`."""
        # Rounded up, because connections are kept for each timeout; it is nearly always 1 s.
        timeout = math.ceil(timeout_seconds * 10) / 10
        body = {"incarnation": member.incarnation, "keys": list(keys)}
        self._http.notify(member.address, "/invalidate", body, timeout_seconds=timeout)


class Invalidator:
    """Invalidates keys at every copy that can be read. Safe to share between threads."""

    def __init__(
        self,
        store: PoolStore,
        channel: InvalidationChannel,
        *,
        clock: Callable[[], float] = time.monotonic,
        patience_clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`patience_clock` judges whether to fence; it may run slower than `clock`, by which leases expire."""
        self._store = store
        self._channel = channel
        self._clock = clock
        self._patience_clock = patience_clock or clock
        self._sleep = sleep
        self._together = ThreadPoolExecutor(8, thread_name_prefix="invalidate")
        self._lock = threading.Lock()
        self._view: PoolView | None = None
        self._fences = 0

    def close(self) -> None:
        """Wait for pending calls and end the threads."""
        self._together.shutdown()

    def statistics(self) -> dict[str, int]:
        """`fences`: how many members were fenced for not answering, since the start."""
        return {"fences": self._fences}

    def invalidate_everywhere(self, keys: Sequence[str], deadline: float) -> None:
        """Return once no member can serve any of `keys` from what it kept before this call.

        A member that does not answer for 1 s (5 s if this process is starved) is fenced and, 3.5 s later, dead.
        `deadline` is by this object's clock.

        Raises:
            Unavailable: the deadline passed; some copy may still be readable.
        """
        view = self._current_view()
        while True:
            self._reach_all(keys, view, deadline)
            again = self._current_view()
            if again.stamp == view.stamp:
                return
            if self._clock() >= deadline:
                raise Unavailable("The pool keeps changing; the change is saved and will be finished.")
            view = again

    def _current_view(self) -> PoolView:
        """The pool as it is now, read whole only if its stamp has changed.

        The epochs that members name change without the stamp, but do not matter here.
        """
        view = self._view
        if view is None or self._store.stamp() != view.stamp:
            view = self._view = self._store.read()
        return view

    def _reach_all(self, keys: Sequence[str], view: PoolView, deadline: float) -> None:
        for round_of_slots in rounds(keys, view.map):
            for slot, its_keys in round_of_slots.items():
                for member in view.incarnations(slot):
                    self._reach(member, its_keys, deadline)
        near = view.near_caches()
        if len(near) == 1:
            self._reach(near[0], keys, deadline)
        else:
            pending = [self._together.submit(self._reach, member, keys, deadline) for member in near]
            for one in pending:
                one.result()

    def _reach(self, member: Member, keys: Sequence[str], deadline: float) -> None:
        """Invalidate at `member`, or fence it and wait until it is dead or, at any time, confirms after all."""
        fence_at = self._patience_clock() + FENCE_AFTER_SECONDS
        fence_by = self._clock() + MAX_PATIENCE_SECONDS
        dead_at: float | None = None
        while not self._confirms(
            member,
            keys,
            min(fence_at - self._patience_clock(), fence_by - self._clock())
            if dead_at is None
            else dead_at - self._clock(),
        ):
            state = self._store.state_of(member.incarnation)
            now = self._clock()
            if state not in (LIVE, FENCED):
                return
            late = self._patience_clock() >= fence_at or now >= fence_by
            if dead_at is None and (state == FENCED or late):
                if state == LIVE and self._store.fence(member.incarnation):
                    self._note_fence(member)
                dead_at = self._clock() + DEAD_AFTER_SECONDS
            elif dead_at is not None and now >= dead_at:
                self._store.mark_dead(member.incarnation)
                return
            if now >= deadline:
                raise Unavailable("A cache node does not respond; the change is saved and will be finished.")
            self._sleep(_PAUSE_SECONDS)

    def _note_fence(self, member: Member) -> None:
        with self._lock:
            self._fences += 1
        _log.warning("%s fenced: no answer to an invalidation (incarnation %s)", member.id, member.incarnation)

    def _confirms(self, member: Member, keys: Sequence[str], seconds: float) -> bool:
        try:
            self._channel.send(member, keys, min(max(seconds, _PAUSE_SECONDS), FENCE_AFTER_SECONDS))
        except (Unavailable, Conflict, Unauthenticated):
            return False
        return True


def rounds(keys: Sequence[str], pool_map: PoolMap | None) -> list[dict[int, list[str]]]:
    """For each place in the order of copies, the slots to invalidate and their keys.

    One key gives one slot per round. Keys of several partitions may need A before B and B before A: in rounds, each
    partition keeps its own order. Without a map there are no rounds.
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
