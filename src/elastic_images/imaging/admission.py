"""Which waiting job may start: rules only, without a clock.

A job first runs as if it were light. If its image turns out to take more, it waits again, now with its true cost.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any

from elastic_images.imaging.imaging import Priority

MEGABYTE = 1_000_000
LIGHT_BYTES = 24 * MEGABYTE
"""The memory of a light job."""
_PASS_SECONDS = 1.0
"""How long others may pass a job that waits for memory; then all wait until it fits."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a job takes."""

    memory_bytes: int = LIGHT_BYTES
    heavy: bool = False
    """Whether it computes for long."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A job's place in the queue. `payload` is the job."""

    priority: Priority
    number: int
    """Grows with each job."""
    cost: Cost
    payload: Any = None
    since: float = 0.0
    """When it began to wait."""
    short_since: float | None = None
    """Since when it has been first in the queue, but for memory."""

    @property
    def order(self) -> tuple[Priority, int]:
        """Less is served first."""
        return self.priority, self.number


class Admission:
    """Keeps the jobs that run within memory and places, and those that wait in their order.

    Args:
        memory_bytes: for all jobs that run.
        places: how many heavy jobs run at once; as many light ones run beside them, so that an upload of a photograph
            does not wait for a long animation.
    """

    def __init__(self, memory_bytes: int, places: int) -> None:
        self.memory_bytes = memory_bytes
        self._places = places
        self._waiting: list[Waiting] = []
        self._running: set[Waiting] = set()
        self.admitted_bytes = 0

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    def add(self, job: Waiting) -> None:
        """It waits from now on. What it costs is bounded by all the memory there is."""
        job.short_since = None
        if job.cost.memory_bytes > self.memory_bytes:
            job.cost = Cost(self.memory_bytes, job.cost.heavy)
        bisect.insort(self._waiting, job, key=lambda waiting: waiting.order)

    def remove(self, job: Waiting) -> None:
        """It neither waits nor runs any more."""
        if job in self._running:
            self._running.remove(job)
            self.admitted_bytes -= job.cost.memory_bytes
        elif job in self._waiting:
            self._waiting.remove(job)

    def start_next(self, now: float) -> Waiting | None:
        """The job that may start now, which counts as running from now on."""
        for job in self._waiting:
            if sum(other.cost.heavy == job.cost.heavy for other in self._running) >= self._places:
                continue
            if self.admitted_bytes + job.cost.memory_bytes <= self.memory_bytes:
                self._waiting.remove(job)
                self._running.add(job)
                self.admitted_bytes += job.cost.memory_bytes
                return job
            job.short_since = now if job.short_since is None else job.short_since
            if now - job.short_since > _PASS_SECONDS:
                return None
        return None
