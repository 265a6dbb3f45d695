"""Whether the pool's nodes answer: their control listeners are asked, apart from the loop that must never wait."""

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
"""Below the pause of the loop that observes (0.25 s), so that each round asks again."""
TIMEOUT_SECONDS = 0.8
SUSPECT_SECONDS = 1.5
"""One that has answered nothing for so long is a suspect: a hung node's partitions are to be served by the others
within 3 s."""
SUSPECT_QUESTIONS = 2
"""So many in a row it must have left open: after a standstill of our own, a single one says nothing."""
START_SECONDS = 5.0
"""The same for one that has never answered: its port may not be open yet."""
_WORKERS = 8

Probe = Callable[[Member, bool], bool]
"""Whether the member answers; told whether this is asked for the first time. Takes two seconds at most."""


class HttpProbe:
    """Asks a member's control listener and, until that has answered once, where the node serves images.

    The control listener alone tells later whether the node lives: it has threads of its own, while the other may be
    slow for being busy. Safe to share between threads.
    """

    def __init__(self, http: InternalClient, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._http = http
        self._timeout_seconds = timeout_seconds

    def __call__(self, member: Member, first: bool) -> bool:
        """See `Probe`. Another incarnation's answer is none."""
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
    """What the resizer asks about nodes. Never waits."""

    def observe(self, members: Iterable[Member]) -> None:
        """Watch these, and forget all others."""

    def healthy(self, incarnation: str) -> bool:
        """It has answered, and is no suspect."""

    def suspects(self) -> frozenset[str]:
        """Incarnations that have not answered for several seconds."""


@dataclass(slots=True)
class _Patient:
    due_at: float = 0.0
    under_way: bool = False
    answered: bool = False
    failing_since: float | None = None


class HealthWatch:
    """Keeps asking the members it is told of: a `Health`. Safe to share between threads.

    Args:
        probe: how one is asked.
        on_news: called, from another thread, when one answers for the first time, and when one does not answer.
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
        self._patients: dict[str, _Patient] = {}
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="health")

    def close(self) -> None:
        """End the threads; questions under way are answered first."""
        self._workers.shutdown(cancel_futures=True)

    def observe(self, members: Iterable[Member]) -> None:
        """Ask those of `members` that are due; forget all others. Does not wait."""
        now = self._clock()
        with self._lock:
            known, self._patients = self._patients, {}
            for member in members:
                patient = known.get(member.incarnation) or _Patient()
                self._patients[member.incarnation] = patient
                if not patient.under_way and now >= patient.due_at:
                    patient.under_way = True
                    self._workers.submit(self._ask, member, patient)

    def healthy(self, incarnation: str) -> bool:
        """See `Health`."""
        with self._lock:
            patient = self._patients.get(incarnation)
            return patient is not None and patient.answered and not self._suspect(patient)

    def suspects(self) -> frozenset[str]:
        """See `Health`."""
        with self._lock:
            return frozenset(name for name, patient in self._patients.items() if self._suspect(patient))

    def _suspect(self, patient: _Patient) -> bool:
        limit = SUSPECT_SECONDS if patient.answered else START_SECONDS
        return patient.failing_since is not None and self._clock() - patient.failing_since >= limit

    def _ask(self, member: Member, patient: _Patient) -> None:
        asked_at = self._clock()
        failures = 0
        # One that used to answer is asked again at once, so that it is known soon.
        while not self._answers(member, first=not patient.answered):
            failures += 1
            if not patient.answered or failures == SUSPECT_QUESTIONS:
                break
        answered = failures == 0 or (patient.answered and failures < SUSPECT_QUESTIONS)
        with self._lock:
            news = answered != patient.answered
            patient.answered = patient.answered or answered
            patient.failing_since = None if answered else (patient.failing_since or asked_at)
            patient.under_way = False
            # One that has never answered is about to: it is asked again soon.
            patient.due_at = self._clock() + (self._interval_seconds if patient.answered else 0.1)
        if news:
            self._on_news()

    def _answers(self, member: Member, *, first: bool) -> bool:
        try:
            return self._probe(member, first)
        except Exception:  # noqa: BLE001 - a probe that breaks says as much as one that fails
            _log.exception("asking %s for its health failed", member.id)
            return False
