"""The nodes' statistics (`/stats`), fetched on threads of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import cast

from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.pool_document import NodeStatistics
from elastic_images.http.internal_client import InternalClient
from elastic_images.pool.view import Member

TIMEOUT_SECONDS = 1.0
_WORKERS = 4
_KEEP = 64

StatsReader = Callable[[Member], NodeStatistics]
"""Returns a node's `/stats`. Raises an ElasticImagesError if it does not respond."""


class HttpStatsReader:
    """Asks a node over HTTP. Safe to share between threads."""

    def __init__(self, http: InternalClient, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._http = http
        self._timeout_seconds = timeout_seconds

    def __call__(self, member: Member) -> NodeStatistics:
        """See `StatsReader`."""
        answer = self._http.get_json(f"http://{member.data_address}/stats", timeout_seconds=self._timeout_seconds)
        return cast("NodeStatistics", answer)


class NodeStats:
    """The newest statistics of each node. Safe to share between threads."""

    def __init__(self, read: StatsReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, NodeStatistics | None]] = {}
        self._asking: dict[str, Future[None]] = {}
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="node-stats")

    def close(self) -> None:
        """End the threads."""
        self._workers.shutdown(cancel_futures=True)

    def refresh(self, members: Iterable[Member], max_age_seconds: float) -> None:
        """Fetch what is older than `max_age_seconds`. Does not wait."""
        self._ask(members, max_age_seconds)

    def of(self, members: Iterable[Member], max_age_seconds: float = 1.0) -> dict[str, NodeStatistics | None]:
        """The statistics by incarnation, None for a node that does not respond. Waits a second at most."""
        members = tuple(members)
        wait(self._ask(members, max_age_seconds), TIMEOUT_SECONDS)
        return {member.incarnation: self.latest(member.incarnation) for member in members}

    def latest(self, incarnation: str) -> NodeStatistics | None:
        """The newest statistics of that incarnation; None if it did not respond to the last request."""
        with self._lock:
            known = self._known.get(incarnation)
            return known[1] if known else None

    def _ask(self, members: Iterable[Member], max_age_seconds: float) -> list[Future[None]]:
        now = self._clock()
        with self._lock:
            for member in members:
                asked_at = self._known.get(member.incarnation, (None, None))[0]
                fresh = asked_at is not None and now - asked_at < max_age_seconds
                if not fresh and member.incarnation not in self._asking:
                    self._asking[member.incarnation] = self._workers.submit(self._fetch, member)
            return [self._asking[member.incarnation] for member in members if member.incarnation in self._asking]

    def _fetch(self, member: Member) -> None:
        asked_at = self._clock()
        answer = None
        try:
            found = self._read(member)
            answer = found if found.get("incarnation") == member.incarnation else None
        except ElasticImagesError:
            answer = None
        finally:
            with self._lock:
                self._asking.pop(member.incarnation, None)
                self._known.pop(member.incarnation, None)
                self._known[member.incarnation] = (asked_at, answer)
                if len(self._known) > _KEEP:
                    del self._known[next(iter(self._known))]
