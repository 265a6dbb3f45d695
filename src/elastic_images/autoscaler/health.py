"""Health checks: asks the nodes' control listeners on threads, because the resizer must never wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from elastic_images.core.errors import ElasticImagesError
from elastic_images.http.internal_client import InternalClient
from elastic_images.pool.view import Member

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 0.2
"""Less than the idle pause of the resizer (0.25 s), so every step asks again."""
TIMEOUT_SECONDS = 0.8
SUSPECT_SECONDS = 1.5
"""A node that has not responded for this long is a suspect: others must serve a hung node's partitions within 3 s."""
SUSPECT_QUESTIONS = 2
"""How many checks in a row must fail: after a pause of this process, a single failure proves nothing."""
START_SECONDS = 5.0
"""The same for a node that has never responded: its port may not be open yet."""
_WORKERS = 8

Probe = Callable[[Member, bool], bool]
"""Whether the member responds; the flag says that it never has yet. Takes two seconds at most."""


class HttpProbe:
    """Asks a member's control listener and, until that has responded once, its data port.

    Later the control listener is enough: it has its own threads, while the data port may be slow because it is busy.
    Safe to share between threads.
    """

    def __init__(self, http: InternalClient, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._http = http
        self._timeout_seconds = timeout_seconds

    def __call__(self, member: Member, first: bool) -> bool:
        """See `Probe`. A response of another incarnation does not count."""
        try:
            if first:
                self._http.request(
                    "GET", f"http://{member.data_address}/healthz", timeout_seconds=self._timeout_seconds
                )
            answer = self._http.get_json(f"http://{member.address}/healthz", timeout_seconds=self._timeout_seconds)
        except ElasticImagesError:
            return False
        return isinstance(answer, dict) and answer.get("incarnation") == member.incarnation


class Health(Protocol):
    """What the resizer needs to know of nodes. Never waits."""

    def observe(self, members: Iterable[Member]) -> None:
        """Watch these members, and forget all others."""

    def healthy(self, incarnation: str) -> bool:
        """Whether it has responded and is not a suspect."""

    def suspects(self) -> frozenset[str]:
        """Incarnations that have not responded for too long."""


@dataclass(slots=True)
class _Check:
    due_at: float = 0.0
    under_way: bool = False
    answered: bool = False
    failing_since: float | None = None


class HealthWatch:
    """A `Health` that keeps checking the members it is given. Safe to share between threads.

    Args:
        probe: checks one member.
        on_news: called from another thread when a member responds for the first time, and when one fails to.
    """

    def __init__(
        self,
        probe: Probe,
        *,
        on_news: Callable[[], None] = lambda: None,
        interval_seconds: float = INTERVAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe
        self._on_news = on_news
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._checks: dict[str, _Check] = {}
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="health")

    def close(self) -> None:
        """End the threads after the checks under way."""
        self._workers.shutdown(cancel_futures=True)

    def observe(self, members: Iterable[Member]) -> None:
        """Check those of `members` that are due; forget all others. Does not wait."""
        now = self._clock()
        with self._lock:
            known, self._checks = self._checks, {}
            for member in members:
                check = known.get(member.incarnation) or _Check()
                self._checks[member.incarnation] = check
                if not check.under_way and now >= check.due_at:
                    check.under_way = True
                    self._workers.submit(self._ask, member, check)

    def healthy(self, incarnation: str) -> bool:
        """See `Health`."""
        with self._lock:
            check = self._checks.get(incarnation)
            return check is not None and check.answered and not self._suspect(check)

    def suspects(self) -> frozenset[str]:
        """See `Health`."""
        with self._lock:
            return frozenset(name for name, check in self._checks.items() if self._suspect(check))

    def _suspect(self, check: _Check) -> bool:
        limit = SUSPECT_SECONDS if check.answered else START_SECONDS
        return check.failing_since is not None and self._clock() - check.failing_since >= limit

    def _ask(self, member: Member, check: _Check) -> None:
        asked_at = self._clock()
        failures = 0
        # A node that used to respond is asked again at once, to know soon.
        while not self._answers(member, first=not check.answered):
            failures += 1
            if not check.answered or failures == SUSPECT_QUESTIONS:
                break
        answered = failures == 0 or (check.answered and failures < SUSPECT_QUESTIONS)
        with self._lock:
            news = answered != check.answered
            check.answered = check.answered or answered
            check.failing_since = None if answered else (check.failing_since or asked_at)
            check.under_way = False
            # A node that has never responded is about to: ask it again soon.
            check.due_at = self._clock() + (self._interval_seconds if check.answered else 0.1)
        if news:
            self._on_news()

    def _answers(self, member: Member, *, first: bool) -> bool:
        try:
            return self._probe(member, first)
        except Exception:  # noqa: BLE001 - a probe that raises counts as a failure
            _log.exception("health check of %s failed", member.id)
            return False
