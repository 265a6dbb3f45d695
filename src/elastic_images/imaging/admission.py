"""Which waiting job may start: rules only, without a clock.

Of jobs that are as urgent, those of whoever has the fewest running go first, so that one client's many heavy images do
not keep those of others waiting for longer than one of them takes.

A job first runs as if it were light. If its image turns out to take more, it waits again, now with its true cost. Light
jobs have places and memory of their own, so that an upload of a photograph never waits for heavy ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from elastic_images.imaging.imaging import Priority

MEGABYTE = 1_000_000
LIGHT_BYTES = 24 * MEGABYTE
"""The memory of a light job, which also takes no longer than a fraction of a second."""
_PASS_SECONDS = 1.0
"""How long others may pass a job that waits for memory; then all wait until it fits."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a job takes."""

    memory_bytes: int = LIGHT_BYTES
    heavy: bool = False
    """Whether it takes more than a light job, of memory or of time."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A job's place in the queue. `payload` is the job."""

    priority: Priority
    number: int
    """Grows with each job."""
    cost: Cost
    client: str = ""
    """Whose it is."""
    payload: Any = None
    since: float = 0.0
    """When it began to wait."""
    short_since: float | None = None
    """Since when it would have run, but for memory."""


class Admission:
    """Keeps the jobs that run within memory and places, and those that wait in their order.

    Args:
        memory_bytes: for all jobs that run, light ones included.
        places: how many heavy jobs run at once. As many light ones run beside them, and one more that is an upload, if
            there is memory for it: no upload of a photograph waits for a flood of renditions.
    """

    def __init__(self, memory_bytes: int, places: int) -> None:
        self._heavy_places = places
        self._light_places = max(1, min(places + 1, memory_bytes // 2 // LIGHT_BYTES))
        self.heavy_bytes = memory_bytes - self._light_places * LIGHT_BYTES
        """For all heavy jobs together: what one may take at most."""
        self._waiting: list[Waiting] = []
        self._running: set[Waiting] = set()

    @property
    def admitted_bytes(self) -> int:
        """What those that run may take."""
        return sum(job.cost.memory_bytes for job in self._running)

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    def add(self, job: Waiting) -> None:
        """It waits from now on. What it costs is bounded by all the memory there is."""
        job.short_since = None
        if job.cost.heavy:
            job.cost = Cost(min(job.cost.memory_bytes, self.heavy_bytes), heavy=True)
        self._waiting.append(job)

    def remove(self, job: Waiting) -> None:
        """It neither waits nor runs any more."""
        if job in self._running:
            self._running.remove(job)
        elif job in self._waiting:
            self._waiting.remove(job)

    def start_next(self, now: float) -> Waiting | None:
        """The job that may start now, which counts as running from now on."""
        heavy = [job for job in self._running if job.cost.heavy]
        light = [job for job in self._running if not job.cost.heavy]
        light_renditions = sum(job.priority is not Priority.UPLOAD for job in light)
        has_light_place = len(light) < self._light_places
        has_heavy_place = len(heavy) < self._heavy_places
        free_bytes = self.heavy_bytes - sum(job.cost.memory_bytes for job in heavy)
        running = Counter((job.client, job.cost.heavy) for job in self._running)
        in_turn = sorted(self._waiting, key=lambda job: (job.priority, running[job.client, job.cost.heavy], job.number))
        for job in in_turn:
            if not job.cost.heavy:
                is_upload = job.priority is Priority.UPLOAD
                may_start = has_light_place and (is_upload or light_renditions < self._heavy_places)
            else:
                may_start = has_heavy_place and job.cost.memory_bytes <= free_bytes
                if has_heavy_place and not may_start:
                    job.short_since = now if job.short_since is None else job.short_since
                    # After a while no other heavy job may pass it any more.
                    has_heavy_place = now - job.short_since <= _PASS_SECONDS
            if may_start:
                self._waiting.remove(job)
                self._running.add(job)
                return job
        return None
