"""Metrics in a SQLite file that one process opens, with a resolution that falls with age.

Each sample is added to its minute and its quarter of an hour in one transaction with its id: late samples count in the
right step, repeated ones not at all. Maintenance only deletes. Samples are kept for an hour, minutes for two days,
quarters of an hour for 30 days.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from elastic_images.core.errors import InvalidRequest
from elastic_images.metrics.local.file import open_file, our_errors
from elastic_images.metrics.publish_schedule import EVERY_FIVE_SECONDS
from elastic_images.metrics.sample import Sample
from elastic_images.metrics.store import MAX_MINUTES, MINUTE_SECONDS, SERIES_NAMES, Rate, Series, Window

_log = logging.getLogger(__name__)

SAMPLE_RETENTION_SECONDS = 3600
QUARTER_SECONDS = 900
RETENTION_SECONDS = {MINUTE_SECONDS: 2 * 86_400, QUARTER_SECONDS: 30 * 86_400}
"""By step length, in seconds."""
_MAINTENANCE_SECONDS = 600
_MOST_AHEAD_SECONDS = 3600
"""A sample further in the future comes from a broken clock, and would be kept too long."""

_EXPRESSIONS = {
    "nodes": "SUM(is_node)",
    "hit_rate": "CAST(SUM(hits) AS REAL) / NULLIF(SUM(requests), 0)",
    "miss_rate": "CAST(SUM(misses) AS REAL) / NULLIF(SUM(requests), 0)",
    "bytes": "SUM(used_bytes)",
} | {name: f"SUM({name})" for name in ("requests", "hits", "misses", "items", "evictions", "bypasses")}

_INSERT_SAMPLE = """
INSERT OR IGNORE INTO sample (id, source, ended_at, requests, hits, misses)
VALUES (:id, :source, :ended_at, :requests, :hits, :misses)
"""
_ADD_TO_STEP = """
INSERT INTO step VALUES (:step_seconds, :step_started_at, :source, :is_node, :ended_at, :requests, :hits, :misses,
    :evictions, :bypasses, :items, :used_bytes)
ON CONFLICT DO UPDATE SET
    requests = requests + excluded.requests, hits = hits + excluded.hits, misses = misses + excluded.misses,
    evictions = evictions + excluded.evictions, bypasses = bypasses + excluded.bypasses,
    items = CASE WHEN excluded.ended_at >= ended_at THEN excluded.items ELSE items END,
    used_bytes = CASE WHEN excluded.ended_at >= ended_at THEN excluded.used_bytes ELSE used_bytes END,
    ended_at = MAX(ended_at, excluded.ended_at)
"""


class LocalMetricStore:
    """A `MetricStore` in the file `path`. Safe to share between threads; each call waits for the one before it."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Opens or creates the file. Raises Unavailable or OutOfSpace if it can do neither."""
        self._clock = clock
        self._lock = threading.Lock()
        self._connection = open_file(path)
        self._maintained_at = -math.inf

    def publish(self, samples: Sequence[Sample]) -> None:
        """Store all samples or none (see `MetricSink.publish`).

        Samples older than an hour are dropped, because repeats of them could no longer be recognised, and so are
        future ones. Also does the maintenance, every ten minutes.
        """
        now = self._clock()
        timely = [sample for sample in samples if self._is_timely(sample, now)]
        if len(timely) < len(samples):
            _log.warning("%d samples dropped: their times are too old or in the future", len(samples) - len(timely))
        with self._transaction() as connection:
            for sample in timely:
                _add(connection, sample)
        if abs(now - self._maintained_at) >= _MAINTENANCE_SECONDS:
            self.maintain()

    def maintain(self) -> None:
        """Delete what is older than its retention."""
        now = self._maintained_at = self._clock()
        with self._transaction() as connection:
            connection.execute("DELETE FROM sample WHERE ended_at <= ?", (now - SAMPLE_RETENTION_SECONDS,))
            for step_seconds, retention_seconds in RETENTION_SECONDS.items():
                # Keep the step in which the retention ends: a series may start in it.
                oldest = _start_of_step(now - retention_seconds, step_seconds)
                connection.execute("DELETE FROM step WHERE step_seconds = ? AND started_at < ?", (step_seconds, oldest))

    def series(self, name: str, minutes: int, now: float, source: str | None = None) -> Series:
        """See `MetricStore.series`. Steps are minutes up to two days, quarters of an hour beyond."""
        if name not in _EXPRESSIONS:
            raise InvalidRequest(f"Unknown figure {name[:40]!r}; choose from {', '.join(SERIES_NAMES)}.")
        if not 1 <= minutes <= MAX_MINUTES:
            raise InvalidRequest(f"minutes must be from 1 to {MAX_MINUTES}, not {minutes}.")
        span_seconds = minutes * MINUTE_SECONDS
        step_seconds = MINUTE_SECONDS if span_seconds <= RETENTION_SECONDS[MINUTE_SECONDS] else QUARTER_SECONDS
        last = _start_of_step(now, step_seconds)
        first = last - (math.ceil(span_seconds / step_seconds) - 1) * step_seconds
        found = dict(self._steps(_EXPRESSIONS[name], step_seconds, first, last, source))
        starts = range(first, last + 1, step_seconds)
        return Series(name, source, step_seconds, tuple((float(start), found.get(start)) for start in starts))

    def rate(self, window_seconds: float, now: float) -> Rate:
        """See `MetricStore.rate`."""
        if not 1 <= window_seconds <= SAMPLE_RETENTION_SECONDS:
            raise InvalidRequest(f"window_seconds must be from 1 to {SAMPLE_RETENTION_SECONDS}.")
        rows = self._query(
            "SELECT source, SUM(requests), SUM(hits), SUM(misses) FROM sample"
            " WHERE ended_at > ? AND ended_at <= ? GROUP BY source ORDER BY source",
            (now - window_seconds, now),
        )
        requests, hits, misses = (sum(row[column] for row in rows) for column in (1, 2, 3))
        return Rate(requests, hits, misses, tuple(row[0] for row in rows))

    def windows(self, window_seconds: float, now: float, sources: Collection[str]) -> Sequence[Window]:  # noqa: ARG002
        """See `MetricStore.windows`. A single window that ends now; its samples may start one interval earlier."""
        started_at = now - window_seconds - EVERY_FIVE_SECONDS.interval_seconds
        return (Window(started_at, now, self.rate(window_seconds, now)),)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _steps(self, expression: str, step_seconds: int, first: int, last: int, source: str | None) -> list[Any]:
        only = "" if source is None else "AND source = ?"
        return self._query(
            f"SELECT started_at, {expression} FROM step"  # noqa: S608 - ours, from the table above
            f" WHERE step_seconds = ? AND started_at BETWEEN ? AND ? {only} GROUP BY started_at",
            (step_seconds, first, last, *(() if source is None else (source,))),
        )

    def _query(self, statement: str, arguments: tuple[Any, ...]) -> list[Any]:
        with self._lock, our_errors():
            return self._connection.execute(statement, arguments).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, our_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @staticmethod
    def _is_timely(sample: Sample, now: float) -> bool:
        return now - SAMPLE_RETENTION_SECONDS < sample.ended_at < now + _MOST_AHEAD_SECONDS


def _add(connection: sqlite3.Connection, sample: Sample) -> None:
    row = sample.to_json() | {"is_node": sample.kind == "node"}
    if connection.execute(_INSERT_SAMPLE, row).rowcount == 0:
        return
    for step_seconds in RETENTION_SECONDS:
        started_at = _start_of_step(sample.ended_at, step_seconds)
        connection.execute(_ADD_TO_STEP, row | {"step_seconds": step_seconds, "step_started_at": started_at})


def _start_of_step(moment: float, step_seconds: int) -> int:
    return int(moment // step_seconds) * step_seconds
