"""Metrics in CloudWatch, shown like those of the local store: minutes for two days, quarters for 30 days."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

from elastic_images.core.errors import InvalidRequest
from elastic_images.metrics.cloudwatch.errors import CloudWatchError, as_ours
from elastic_images.metrics.cloudwatch.figures import MINUTE_SECONDS, SLOTS, WEB, metric_data, slot_of
from elastic_images.metrics.cloudwatch.location import Location
from elastic_images.metrics.cloudwatch.reader import CloudWatchService, FigureReader
from elastic_images.metrics.cloudwatch.series import Steps, value_of, wanted_by
from elastic_images.metrics.cloudwatch.windows import queries_of, window_of
from elastic_images.metrics.sample import Sample
from elastic_images.metrics.store import MAX_MINUTES, SERIES_NAMES, Rate, Series, Window

_log = logging.getLogger(__name__)

MINUTES_LATE = 3
"""Minutes that ended earlier are too old for a decision."""
MOST_WINDOW_SECONDS = 3600
_QUARTER_SECONDS = 900
_MINUTES_SHOWN_SECONDS = 2 * 86_400
_OLDEST_SECONDS = 14 * 86_400
_MOST_AHEAD_SECONDS = 2 * 3600
"""CloudWatch rejects anything older or further ahead."""
_SAMPLES_IN_A_CALL = 125
"""Each has at most eight figures, and a call takes a thousand."""
_IDS_KEPT = 10_000


class CloudWatchMetricStore:
    """A `MetricStore` in CloudWatch. Safe to share between threads; one publishes at a time, and one queries.

    CloudWatch would count a repeated sample twice, so each is sent at most once: after a request without an answer it
    is assumed to be stored. If it was not, there is a gap, and a gap is never taken for zero.
    """

    def __init__(
        self,
        service: CloudWatchService,
        location: Location,
        reader: FigureReader,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._location = location
        self._reader = reader
        self._clock = clock
        self._publishing = threading.Lock()
        self._taken: OrderedDict[str, None] = OrderedDict()

    def publish(self, samples: Sequence[Sample]) -> None:
        """See `MetricSink.publish`. One call for up to 125 samples; drops those too old or in the future."""
        now = self._clock()
        with self._publishing:
            fresh = {sample.id: sample for sample in samples if sample.id not in self._taken}
            timely = [sample for sample in fresh.values() if _is_timely(sample, now)]
            if len(timely) < len(fresh):
                _log.warning("%d samples dropped: their times are too old or in the future", len(fresh) - len(timely))
            for start in range(0, len(timely), _SAMPLES_IN_A_CALL):
                self._put(timely[start : start + _SAMPLES_IN_A_CALL])

    def _put(self, samples: Sequence[Sample]) -> None:
        try:
            self._service.call(
                "PutMetricData", Namespace=self._location.namespace, MetricData=metric_data(samples, self._location)
            )
        except CloudWatchError as trouble:
            if trouble.perhaps_done:
                self._take(samples)
            raise as_ours(trouble) from None
        self._take(samples)

    def _take(self, samples: Sequence[Sample]) -> None:
        self._taken.update((sample.id, None) for sample in samples)
        while len(self._taken) > _IDS_KEPT:
            self._taken.popitem(last=False)

    def series(self, name: str, minutes: int, now: float, source: str | None = None) -> Series:
        """See `MetricStore.series`. Steps are minutes up to two days, quarters of an hour beyond."""
        if name not in SERIES_NAMES:
            raise InvalidRequest(f"Unknown figure {name[:40]!r}; choose from {', '.join(SERIES_NAMES)}.")
        if not 1 <= minutes <= MAX_MINUTES:
            raise InvalidRequest(f"minutes must be from 1 to {MAX_MINUTES}, not {minutes}.")
        span_seconds = minutes * MINUTE_SECONDS
        step_seconds = MINUTE_SECONDS if span_seconds <= _MINUTES_SHOWN_SECONDS else _QUARTER_SECONDS
        last = math.floor(now / step_seconds) * step_seconds
        first = last - (math.ceil(span_seconds / step_seconds) - 1) * step_seconds
        slots = SLOTS if source is None else tuple(filter(None, [slot_of(source)]))
        found = self._reader.read(wanted_by(name), first, last + step_seconds, step_seconds) if slots else {}
        steps = Steps(found, slots, step_seconds)
        starts = range(first, last + 1, step_seconds)
        return Series(
            name, source, step_seconds, tuple((float(start), value_of(name, steps, start)) for start in starts)
        )

    def rate(self, window_seconds: float, now: float) -> Rate:
        """See `MetricStore.rate`. Of the last whole minutes, uses the newest in which most sources reported.

        Those with fewer sources may not be complete yet.
        """
        found = self._windows(window_seconds, now, SLOTS)
        return max(found, key=lambda window: (len(window.rate.sources), window.ended_at)).rate

    def windows(self, window_seconds: float, now: float, sources: Collection[str]) -> Sequence[Window]:
        """See `MetricStore.windows`. Three windows of whole minutes, each ending a minute earlier than the one before.

        A node is a source of a window if it reported in each of its minutes.
        """
        slots = {slot for source in sources if (slot := slot_of(source)) is not None}
        return self._windows(window_seconds, now, (*sorted(slots - {WEB}), WEB))

    def _windows(self, window_seconds: float, now: float, slots: tuple[str, ...]) -> tuple[Window, ...]:
        if not 1 <= window_seconds <= MOST_WINDOW_SECONDS:
            raise InvalidRequest(f"window_seconds must be from 1 to {MOST_WINDOW_SECONDS}.")
        minutes = math.ceil(window_seconds / MINUTE_SECONDS)
        newest = math.floor(now / MINUTE_SECONDS) * MINUTE_SECONDS
        first = newest - (minutes + MINUTES_LATE - 1) * MINUTE_SECONDS
        found = self._reader.read(queries_of(slots), first, newest, MINUTE_SECONDS)
        ends = (newest - late * MINUTE_SECONDS for late in range(MINUTES_LATE))
        return tuple(window_of(found, slots, end, minutes) for end in ends)

    def close(self) -> None:
        """Close the connections."""
        self._service.close()


def _is_timely(sample: Sample, now: float) -> bool:
    return now - _OLDEST_SECONDS < sample.started_at and sample.ended_at < now + _MOST_AHEAD_SECONDS
