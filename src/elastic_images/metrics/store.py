"""The seam: where samples go, and what can be asked about them."""

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
    """A figure over time, oldest point first, without holes between the points.

    A point is the start of its step (seconds since the epoch) and the value over the step: counts are summed over
    time and sources, gauges are the last of each source in the step, summed over sources, `nodes` is how many nodes
    reported. None is a gap: nobody reported or, for a rate, nothing was asked for. The last step is the one under way.
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
    """What was counted over the last seconds, by all sources together."""

    requests: int
    hits: int
    misses: int
    sources: tuple[str, ...]
    """Who reported in the window."""

    @property
    def miss_rate(self) -> float | None:
        """Misses / requests, 0 to 1; None without requests."""
        return self.misses / self.requests if self.requests else None

    @property
    def hit_rate(self) -> float | None:
        """Hits / requests, 0 to 1; None without requests."""
        return self.hits / self.requests if self.requests else None

    def missing(self, expected: Iterable[str]) -> tuple[str, ...]:
        """Those of `expected` that did not report in the window."""
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
    """What was counted between two moments, for a decision."""

    started_at: float
    """Nothing in it was counted before this."""
    ended_at: float
    rate: Rate
    web_reports: int | None = None
    """How many reports of web processes are in it, where the store does not tell these apart; None where it does."""


class MetricSink(Protocol):
    """Where samples go."""

    def publish(self, samples: Sequence[Sample]) -> None:
        """Take the samples in; those that were taken in before change nothing. Safe to share between threads.

        Raises:
            Unavailable: none is known to be taken in; the same batch may be sent again.
            InvalidRequest: they make no sense and never will.
        """


class MetricStore(MetricSink, Protocol):
    """A sink that can be asked. Safe to share between threads. Times are seconds since the epoch.

    How fine the answers are is the store's own affair. The local one knows each sample, and each process by its id.
    CloudWatch knows minutes, and web processes together, as the source `web`: there a rate and a window are of whole
    minutes that are over, a figure of all sources is one that at least one of them reported, and two batches of one
    source in the same minute give the mean of their gauges.

    Every method raises Unavailable while the store cannot be reached.
    """

    def series(self, name: str, minutes: int, now: float, source: str | None = None) -> Series:
        """The figure `name` (of `SERIES_NAMES`) over the last minutes, of all sources or of one.

        Raises:
            InvalidRequest: no such name, or minutes beyond 1 to `MAX_MINUTES`.
        """

    def rate(self, window_seconds: float, now: float) -> Rate:
        """Hits and misses of the samples that ended within the last `window_seconds` (1 to 3600).

        Raises:
            InvalidRequest: another window.
        """

    def windows(self, window_seconds: float, now: float, sources: Collection[str]) -> Sequence[Window]:
        """What may be decided by, the newest first: one window that ends now, or several where figures come late.

        `sources` are the nodes that matter; what others reported may be left out.

        Raises:
            InvalidRequest: another window.
        """

    def close(self) -> None:
        """Let go of files and connections; not used afterwards."""
