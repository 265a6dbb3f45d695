"""Publishes samples on a schedule, from its own thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from random import Random

from elastic_images.core.errors import ElasticImagesError, InvalidRequest
from elastic_images.metrics.collector import Collector, Origin
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.publish_schedule import EVERY_FIVE_SECONDS, PublishSchedule
from elastic_images.metrics.sample import Sample
from elastic_images.metrics.store import MetricSink

_log = logging.getLogger(__name__)

BACKLOG_SAMPLES = 600
"""How many samples wait for a sink that is down: 50 minutes for the autoscaler, which rejects samples older than an
hour, and ten hours for CloudWatch."""
_BATCH_SAMPLES = 100
_BEFORE_A_SAMPLE = 0.2
"""No retry starts in this last part of an interval, which could delay the next sample."""


class Publisher:
    """Publishes what `counters` counted, on a schedule. Requests never wait for it.

    While the sink does not answer, the newest `BACKLOG_SAMPLES` samples wait. Call `start` and `stop` once each, from
    one thread.
    """

    def __init__(
        self,
        sink: MetricSink,
        counters: Counters,
        origin: Origin,
        *,
        clock: Callable[[], float] = time.time,
        schedule: PublishSchedule = EVERY_FIVE_SECONDS,
        wait: Callable[[float], bool] | None = None,
        random: Random | None = None,
    ) -> None:
        """`wait` sleeps for at most the given seconds, and returns whether to stop."""
        self._sink = sink
        self._clock = clock
        self._schedule = schedule
        self._random = random or Random()  # noqa: S311 - nobody gains by guessing a pause
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._waiting: deque[Sample] = deque(maxlen=BACKLOG_SAMPLES)
        self._failed_attempts = 0
        self._failures = counters.counter("publish_failures")
        self._dropped = counters.counter("samples_dropped")
        counters.follow(lambda: {"samples_waiting": len(self._waiting)})
        self._collector = Collector(counters.read, origin, clock())
        self._thread = threading.Thread(target=self._run, name="metrics-publisher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Try once to publish what is left, and end the thread. Does nothing if it was never started."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def publish_now(self) -> None:
        """Take a sample and publish it with those that wait. For the thread, or for tests without one."""
        if len(self._waiting) == BACKLOG_SAMPLES:
            self._dropped.increment()
        self._waiting.append(self._collector.collect(self._clock()))
        self.publish_waiting()

    def publish_waiting(self) -> None:
        """Publish the waiting samples, oldest first, until an attempt fails."""
        while self._waiting:
            batch = list(self._waiting)[:_BATCH_SAMPLES]
            if not self._publish(batch):
                return
            for _ in batch:
                self._waiting.popleft()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._wait_for_next_sample()
            try:
                self.publish_now()
            except Exception:  # noqa: BLE001 - logged; the next sample includes what this one missed
                _log.exception("taking a sample failed")

    def _wait_for_next_sample(self) -> bool:
        """Wait until the next sample is due, retrying meanwhile. Returns whether to stop."""
        remaining = self._schedule.until_next(self._clock())
        while (longest := self._schedule.longest_retry(self._failed_attempts)) is not None:
            # Random, so that processes that failed together do not retry together.
            pause = self._random.uniform(longest / 2, longest)
            if remaining - pause < _BEFORE_A_SAMPLE * self._schedule.interval_seconds:
                break
            if self._wait(pause):
                return True
            begun_at = self._clock()
            self.publish_waiting()
            remaining -= pause + max(0.0, self._clock() - begun_at)
        return self._wait(max(0.0, remaining))

    def _publish(self, batch: list[Sample]) -> bool:
        """Whether the batch needs no further attempt."""
        try:
            self._sink.publish(batch)
        except InvalidRequest as error:
            # A retry would be refused too, and delay the samples behind it.
            self._dropped.add(len(batch))
            _log.warning("%d samples refused: %s", len(batch), error)
        except ElasticImagesError as error:
            self._failures.increment()
            # When the whole system stops, the sink may stop before us.
            if not self._failed_attempts and not self._stopping.is_set():
                _log.warning("publishing failed, samples wait: %s", error)
            self._failed_attempts += 1
            return False
        if self._failed_attempts:
            _log.info("publishing works again")
        self._failed_attempts = 0
        return True
