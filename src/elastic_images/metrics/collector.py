"""Turns running totals into samples of what was counted since the last one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from elastic_images.metrics.counters import Number
from elastic_images.metrics.sample import Kind, Sample


@dataclass(frozen=True, slots=True)
class Origin:
    """The process that counts: its member id, its kind, and a node's slot."""

    source: str
    kind: Kind
    slot: int | None = None


class Collector:
    """Produces samples. Not safe for concurrent access.

    Anything counted before its creation, at time `now`, is left out.
    """

    def __init__(self, read: Callable[[], Mapping[str, Number]], origin: Origin, now: float) -> None:
        """`read` returns totals and gauges by their names in `definitions`, like `Counters.read`."""
        self._read = read
        self._origin = origin
        self._run = uuid.uuid4().hex
        self._taken = 0
        self._before = dict(read())
        self._last_at = now

    def collect(self, now: float) -> Sample:
        """The sample that ends `now`. If the clock was set back, it has zero length, never a negative one."""
        figures = dict(self._read())
        started_at, before = min(self._last_at, now), self._before
        self._before, self._last_at = figures, now
        self._taken += 1

        def counted(name: str) -> int:
            return max(0, int(figures.get(name, 0) - before.get(name, 0)))

        def level(name: str) -> int:
            return int(figures.get(name, 0))

        return Sample(
            id=f"{self._run}-{self._taken}",
            source=self._origin.source,
            kind=self._origin.kind,
            slot=self._origin.slot,
            started_at=started_at,
            ended_at=now,
            requests=counted("requests"),
            hits=counted("hits"),
            misses=counted("misses"),
            evictions=counted("evictions"),
            bypasses=counted("bypasses"),
            items=level("items"),
            used_bytes=level("bytes"),
            capacity_bytes=level("capacity_bytes"),
        )
