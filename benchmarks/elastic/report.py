"""From a run's reads to figures, and to what was promised."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.elastic.ideal_pool import IdealPool
from benchmarks.elastic.load import Read, percentile
from benchmarks.elastic.records import Resize, Run, Survival
from benchmarks.elastic.run import MEGABYTE
from elastic_images.core.assignment import assign

WINDOW = 1000
"""Requests over which a miss rate is looked at."""
ALLOWED_POINTS = 1.0
ALLOWED_EXCESS = 0.02
ALLOWED_SLOWDOWN = 1.5
_COLUMNS = (
    "nodes",
    "misses before",
    "first 1000 after",
    "peak",
    "steady, old / new size",
    "fetches (ideal)",
    "p50 before / during / after",
    "p99 before / during / after",
    "moved",
    "seconds to open + to settle",
    "failed",
    "promises",
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one resize cost. Rates in percent, times in milliseconds or seconds."""

    resize: Resize
    miss_before: float
    """Measured, while readers read at a steady rate before it was asked for."""
    miss_first: float
    """Measured, over the first thousand requests after it was asked for."""
    miss_peak: float
    """Measured: the worst of the first thousand requests after it was asked for, opened, and closed."""
    old_steady: float
    """What a pool that always had the old size misses of the very requests of `miss_peak`."""
    new_steady: float
    """The same with the new size."""
    fetches: int
    """From storage, from when it was asked for until the caches are at rest again."""
    ideal_fetches: int
    """Of a pool to which the resize costs nothing."""
    p50_ms: tuple[float, float, float]
    """Before it was asked for, until it settled, after."""
    p99_ms: tuple[float, float, float]
    failed: int
    requests: int

    @property
    def excess(self) -> float:
        """Fetches beyond the ideal, as a share of the ideal."""
        return (self.fetches - self.ideal_fetches) / max(1, self.ideal_fetches)

    @property
    def slowdown(self) -> float:
        """The 99th percentile during the resize, as a multiple of that before it."""
        return self.p99_ms[1] / self.p99_ms[0] if self.p99_ms[0] else 0.0

    def broken(self) -> list[str]:
        """Which promises it broke, in words."""
        found = []
        limit = max(self.old_steady, self.new_steady) + ALLOWED_POINTS
        if self.miss_peak > limit:
            found.append(f"misses {self.miss_peak:.1f} % at the peak, more than {limit:.1f} %")
        if self.resize.to_nodes < self.resize.from_nodes and self.excess > ALLOWED_EXCESS:
            found.append(f"{100 * self.excess:.1f} % more fetches than ideal")
        if self.slowdown > ALLOWED_SLOWDOWN:
            found.append(f"p99 {self.slowdown:.1f} times that before")
        if self.failed:
            found.append(f"{self.failed} failed requests")
        return found

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        resize = self.resize
        return {
            "from": resize.from_nodes,
            "to": resize.to_nodes,
            "miss_before": round(self.miss_before, 2),
            "miss_first_thousand": round(self.miss_first, 2),
            "miss_peak": round(self.miss_peak, 2),
            "old_steady": round(self.old_steady, 2),
            "new_steady": round(self.new_steady, 2),
            "fetches": self.fetches,
            "ideal_fetches": self.ideal_fetches,
            "p50_ms": [round(value, 2) for value in self.p50_ms],
            "p99_ms": [round(value, 2) for value in self.p99_ms],
            "failed": self.failed,
            "requests": self.requests,
            "moved_partitions": resize.moved_partitions,
            "moved_mb": round(resize.moved_bytes / MEGABYTE, 1),
            "seconds_to_open": round(resize.opened_at - resize.asked_at, 2),
            "seconds_to_settle": round(resize.settled_at - resize.asked_at, 2),
            "broken": self.broken(),
        }


def figures_of(run: Run) -> list[Figures]:
    """The figures of each resize of a run."""
    steady = {
        size: _steady_misses(run, size) for size in {r.from_nodes for r in run.resizes} | {run.resizes[-1].to_nodes}
    }
    ideal = _ideal_misses(run)
    ends = [*(resize.began_at for resize in run.resizes[1:]), float("inf")]
    return [
        _figures(run, resize, end, steady[resize.from_nodes], steady[resize.to_nodes], ideal)
        for resize, end in zip(run.resizes, ends, strict=True)
    ]


def _figures(
    run: Run, resize: Resize, end: float, old: Sequence[bool], new: Sequence[bool], ideal: Sequence[bool]
) -> Figures:
    reads = run.reads
    missed = [read.missed for read in reads]
    began, asked, opened, closed, settled, ended, rested = (
        _place(reads, moment)
        for moment in (
            resize.began_at,
            resize.asked_at,
            resize.opened_at,
            resize.closed_at,
            resize.settled_at,
            resize.ended_at,
            end,
        )
    )
    windows = [
        (
            _percent(missed[start : start + WINDOW]),
            _percent(old[start : start + WINDOW]),
            _percent(new[start : start + WINDOW]),
        )
        for start in (asked, opened, closed)
    ]
    # Where it came closest to what it may miss, or went beyond.
    peak = max(windows, key=lambda window: window[0] - max(window[1:]))
    phases = [reads[began:asked], reads[asked:settled], reads[settled:ended]]
    return Figures(
        resize=resize,
        miss_before=_percent(missed[began:asked]),
        miss_first=windows[0][0],
        miss_peak=peak[0],
        old_steady=peak[1],
        new_steady=peak[2],
        fetches=sum(missed[asked:rested]),
        ideal_fetches=sum(ideal[asked:rested]),
        p50_ms=tuple_of(percentile(phase, 0.5) for phase in phases),
        p99_ms=tuple_of(percentile(phase, 0.99) for phase in phases),
        failed=sum(read.status != 200 for read in reads[began:ended]),
        requests=ended - began,
    )


def tuple_of(values: Any) -> tuple[float, float, float]:
    """Three values as a tuple."""
    first, second, third = values
    return first, second, third


def _place(reads: Sequence[Read], moment: float) -> int:
    """The first read that was due at that moment or later."""
    return bisect_left(reads, moment, key=lambda read: read.due_at)


def _percent(missed: Sequence[bool]) -> float:
    return 100 * sum(missed) / len(missed) if missed else 0.0


def _steady_misses(run: Run, size: int) -> list[bool]:
    """For each request, whether a pool would have missed it that always had that size."""
    pool = IdealPool(run.catalog, run.capacity_bytes, assign("alternating", run.first, size))
    return [not pool.read(read.number) for read in run.reads]


def _ideal_misses(run: Run) -> list[bool]:
    """For each request, whether a pool would have missed it to which resizes cost nothing.

    It grows when the measured pool opens the resize, and shrinks when that closes it: neither can do better.
    """
    changes = {
        _place(run.reads, resize.opened_at if resize.to_nodes > resize.from_nodes else resize.closed_at): resize.after
        for resize in run.resizes
    }
    pool = IdealPool(run.catalog, run.capacity_bytes, run.first)
    missed = []
    for place, read in enumerate(run.reads):
        if place in changes:
            pool.resize(changes[place])
        missed.append(not pool.read(read.number))
    return missed


def table(found: Sequence[Figures]) -> str:
    """The figures as a Markdown table, a row for each resize."""
    lines = [_line(_COLUMNS), _line(["---"] + ["---:"] * (len(_COLUMNS) - 2) + ["---"])]
    for one in found:
        resize = one.resize
        cells = [
            f"{resize.from_nodes} -> {resize.to_nodes}",
            f"{one.miss_before:.1f} %",
            f"{one.miss_first:.1f} %",
            f"{one.miss_peak:.1f} %",
            f"{one.old_steady:.1f} / {one.new_steady:.1f} %",
            f"{one.fetches} ({one.ideal_fetches}), {100 * one.excess:+.1f} %",
            " / ".join(f"{value:.1f}" for value in one.p50_ms) + " ms",
            " / ".join(f"{value:.1f}" for value in one.p99_ms) + " ms",
            f"{resize.moved_bytes / MEGABYTE:.0f} MB, {resize.moved_partitions} partitions",
            f"{resize.opened_at - resize.asked_at:.1f} + {resize.settled_at - resize.opened_at:.1f}",
            f"{one.failed} of {one.requests}",
            "; ".join(one.broken()) or "kept",
        ]
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def survival_table(found: Sequence[Survival]) -> str:
    """What the loss of a node did to the reads of its images, as a Markdown table."""
    lines = [
        _line(["a node is", "others own after", "last bypass after", "bypassed", "slowest read", "failed", "promises"]),
        _line(["---"] + ["---:"] * 5 + ["---"]),
    ]
    for one in found:
        cells = [
            one.how,
            f"{one.seconds:.1f} s",
            f"{one.last_bypass_seconds:.1f} s",
            str(one.bypassed),
            f"{one.slowest_ms:.0f} ms",
            f"{one.failed} of {one.requests}",
            "; ".join(one.broken()) or "kept",
        ]
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def report(runs: Mapping[str, Run]) -> dict[str, Any]:
    """Everything as plain JSON values, by the name of the run."""
    return {
        name: {
            "resizes": [one.to_json() for one in figures_of(run)],
            "survival": [one.to_json() for one in run.survivals],
        }
        for name, run in runs.items()
    }
