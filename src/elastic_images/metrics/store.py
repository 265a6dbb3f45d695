"""The interfaces of all backends, `MetricSink` and `MetricStore`, and the values they return."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from elastic_images.core.pool_document import RateDocument, SeriesDocument
from elastic_images.metrics.sample import Sample

SERIES_NAMES = (
    "nodes",
    "hit_rate",
    "miss_rate",
    "requests",
    "hits",
    "misses",
    "items",
    "bytes",
    "evictions",
    "bypasses",
)
MINUTE_SECONDS = 60
MAX_MINUTES = 30 * 24 * 60


@dataclass(frozen=True, slots=True)
class Series:
    """A figure over time, oldest point first, with a point for every step.

    A point is the start of its step (seconds since the epoch) and the value over the step. Counts are summed over time
    and sources; gauges are the last of each source in the step, summed over sources; `nodes` is how many nodes
    reported. None is a gap: no source reported or, for a rate, there were no requests. The last step is in progress.
    """

    name: str
    source: str | None
    step_seconds: int
    points: tuple[tuple[float, float | None], ...]

    def to_json(self) -> SeriesDocument:
        """As plain JSON values."""
        points = list(self.points)
        return {"name": self.name, "source": self.source, "step_seconds": self.step_seconds, "points": points}


@dataclass(frozen=True, slots=True)
class Rate:
    """Counts over a window, of all sources together."""

    requests: int
    hits: int
    misses: int
    sources: tuple[str, ...]
    """The sources that reported in the window."""

    @property
    def miss_rate(self) -> float | None:
        """Misses / requests, 0 to 1; None without requests."""
        return self.misses / self.requests if self.requests else None

    @property
    def hit_rate(self) -> float | None:
        """Hits / requests, 0 to 1; None without requests."""
        return self.hits / self.requests if self.requests else None

    def missing(self, expected: Iterable[str]) -> tuple[str, ...]:
        """The `expected` sources that did not report in the window."""
        return tuple(sorted(set(expected) - set(self.sources)))

    def to_json(self) -> RateDocument:
        """As plain JSON values."""
        return {
            "requests": self.requests,
            "hits": self.hits,
            "misses": self.misses,
            "miss_rate": self.miss_rate,
            "hit_rate": self.hit_rate,
            "sources": list(self.sources),
        }


@dataclass(frozen=True, slots=True)
class Window:
    """Counts between two moments, for a decision."""

    started_at: float
    """Nothing was counted before this."""
    ended_at: float
    rate: Rate
    web_reports: int | None = None
    """The number of web processes that reported; None if the store tells web processes apart."""


class MetricSink(Protocol):
    """Where samples go."""

    def publish(self, samples: Sequence[Sample]) -> None:
        """Store the samples; those already stored change nothing. Safe to share between threads.

        Raises:
            Unavailable: it is not known whether any were stored; the same batch may be sent again.
            InvalidRequest: they are invalid, and always will be.
        """


class MetricStore(MetricSink, Protocol):
    """A sink that can be queried. Safe to share between threads. Times are seconds since the epoch.

    The resolution depends on the store. The local store knows each sample, and each process by its id. CloudWatch knows
    minutes, and all web processes as one source, `web`: there, rates and windows cover whole past minutes, a figure of
    all sources exists if at least one reported, and two batches of a source in one minute give the mean of their
    gauges.

    Every method raises Unavailable while the store cannot be reached.
    """

    def series(self, name: str, minutes: int, now: float, source: str | None = None) -> Series:
        """The figure `name` (of `SERIES_NAMES`) over the last minutes, for all sources or one.

        Raises:
            InvalidRequest: an unknown name, or minutes outside 1 to `MAX_MINUTES`.
        """

    def rate(self, window_seconds: float, now: float) -> Rate:
        """Hits and misses of the samples that ended within the last `window_seconds` (1 to 3600).

        Raises:
            InvalidRequest: the window is out of range.
        """

    def windows(self, window_seconds: float, now: float, sources: Collection[str]) -> Sequence[Window]:
        """Windows to base a decision on, newest first: one that ends now, or several if figures arrive late.

        `sources` are the nodes of interest; reports of others may be left out.

        Raises:
            InvalidRequest: the window is out of range.
        """

    def close(self) -> None:
        """Release files and connections. Not used afterwards."""
