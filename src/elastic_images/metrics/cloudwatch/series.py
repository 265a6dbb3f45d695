"""Builds series from CloudWatch statistics. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from elastic_images.metrics.cloudwatch.figures import (
    BYPASSES,
    BYTES,
    EVICTIONS,
    HITS,
    ITEMS,
    MINUTE_SECONDS,
    MISSES,
    SLOTS,
    WEB,
)
from elastic_images.metrics.cloudwatch.reader import Answer, Query


def gauge_query(figure: str, slot: str) -> Query:
    """A gauge: a node's mean over the step, or the sum of all web processes (which `Steps.gauge` turns into a mean)."""
    return Query(figure, slot, "Sum" if slot == WEB else "Average")


_READS = tuple(Query(figure, slot, "Sum") for figure in (HITS, MISSES) for slot in SLOTS)
_ROOM = tuple(gauge_query(figure, slot) for figure in (ITEMS, BYTES) for slot in SLOTS)
_WANTED: Mapping[str, tuple[Query, ...]] = {
    "items": _ROOM,
    "bytes": _ROOM,
    "evictions": tuple(Query(EVICTIONS, slot, "Sum") for slot in SLOTS),
    "bypasses": (Query(BYPASSES, WEB, "Sum"),),
}


def wanted_by(name: str) -> tuple[Query, ...]:
    """The queries for a series. Series that are shown together share queries, and so share cached answers."""
    return _WANTED.get(name, _READS)


@dataclass(frozen=True, slots=True)
class Steps:
    """The answers to the queries, and the slots to include."""

    found: Answer
    slots: tuple[str, ...]
    step_seconds: int

    def total(self, figure: str, start: int) -> float | None:
        """A count over the slots that reported in the step; None if none did."""
        return _sum([self._value(Query(figure, slot, "Sum"), start) for slot in self.slots])

    def gauge(self, figure: str, start: int) -> float | None:
        """A gauge summed over the slots that reported in the step; None if none did."""
        minutes = self.step_seconds / MINUTE_SECONDS
        values = [
            None if value is None else value / (minutes if slot == WEB else 1)
            for slot in self.slots
            for value in [self._value(gauge_query(figure, slot), start)]
        ]
        return _sum(values)

    def nodes(self, start: int) -> float | None:
        """How many nodes reported; None if no slot did."""
        reported = [slot for slot in self.slots if self._value(Query(HITS, slot, "Sum"), start) is not None]
        return float(sum(slot != WEB for slot in reported)) if reported else None

    def part(self, figure: str, start: int) -> float | None:
        """Hits or misses / requests; None without requests."""
        requests = self.requests(start)
        return (self.total(figure, start) or 0.0) / requests if requests else None

    def requests(self, start: int) -> float | None:
        """Hits + misses."""
        return _sum([self.total(HITS, start), self.total(MISSES, start)])

    def _value(self, query: Query, start: int) -> float | None:
        return self.found.get(query, {}).get(start)


_VALUES: Mapping[str, Callable[[Steps, int], float | None]] = {
    "nodes": Steps.nodes,
    "hit_rate": lambda steps, start: steps.part(HITS, start),
    "miss_rate": lambda steps, start: steps.part(MISSES, start),
    "requests": Steps.requests,
    "hits": lambda steps, start: steps.total(HITS, start),
    "misses": lambda steps, start: steps.total(MISSES, start),
    "items": lambda steps, start: steps.gauge(ITEMS, start),
    "bytes": lambda steps, start: steps.gauge(BYTES, start),
    "evictions": lambda steps, start: steps.total(EVICTIONS, start),
    "bypasses": lambda steps, start: steps.total(BYPASSES, start),
}


def value_of(name: str, steps: Steps, start: int) -> float | None:
    """The point of the series `name` (of `metrics.store.SERIES_NAMES`) for the step that begins at `start`."""
    return _VALUES[name](steps, start)


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
