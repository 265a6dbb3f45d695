"""Windows of whole minutes, for scaling decisions. Pure."""

from __future__ import annotations

from elastic_images.metrics.cloudwatch.figures import HITS, MINUTE_SECONDS, MISSES, WEB, source_of
from elastic_images.metrics.cloudwatch.reader import Answer, Query
from elastic_images.metrics.store import Rate, Window

CLOCKS_SECONDS = 1.0
"""How far the clocks of two machines may differ."""
_COUNTS = (HITS, MISSES)


def queries_of(slots: tuple[str, ...]) -> tuple[Query, ...]:
    """The queries for windows of these slots."""
    reports = tuple(Query(figure, WEB, "SampleCount") for figure in _COUNTS) if WEB in slots else ()
    return tuple(Query(figure, slot, "Sum") for slot in slots for figure in _COUNTS) + reports


def window_of(found: Answer, slots: tuple[str, ...], end: int, minutes: int) -> Window:
    """The window of `minutes` that ends at `end`. Its sources reported hits and misses in each minute."""
    starts = range(end - minutes * MINUTE_SECONDS, end, MINUTE_SECONDS)

    def values(figure: str, slot: str) -> list[float]:
        known = found.get(Query(figure, slot, "Sum"), {})
        return [known[start] for start in starts if start in known]

    def reported(slot: str) -> bool:
        return all(len(values(figure, slot)) == minutes for figure in _COUNTS)

    hits, misses = (round(sum(sum(values(figure, slot)) for slot in slots)) for figure in _COUNTS)
    sources = tuple(sorted(source_of(slot) for slot in slots if reported(slot)))
    return Window(
        started_at=starts[0] - CLOCKS_SECONDS,
        ended_at=float(end),
        rate=Rate(hits + misses, hits, misses, sources),
        web_reports=_web_reports(found, starts) if WEB in slots else None,
    )


def _web_reports(found: Answer, starts: range) -> int:
    """How many web processes reported, in the minute with the fewest."""
    counts = [found.get(Query(figure, WEB, "SampleCount"), {}) for figure in _COUNTS]
    return round(min(count.get(start, 0.0) for count in counts for start in starts))
