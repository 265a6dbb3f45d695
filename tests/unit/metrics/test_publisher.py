from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from elastic_images.core.errors import InvalidRequest, Unavailable
from elastic_images.metrics.collector import Origin
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.publish_schedule import EACH_MINUTE, PublishSchedule
from elastic_images.metrics.publisher import BACKLOG_SAMPLES, Publisher
from elastic_images.metrics.sample import Sample


class RecordingSink:
    """Keeps what it is given; raises `error` instead while there is one."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.samples: list[Sample] = []
        self.batches: list[int] = []

    def publish(self, samples: Sequence[Sample]) -> None:
        if self.error is not None:
            raise self.error
        self.samples += samples
        self.batches.append(len(samples))


class Setup:
    def __init__(self) -> None:
        self.sink, self.counters, self.now = RecordingSink(), Counters(), 1000.0
        self.hits = self.counters.counter("hits")
        self.publisher = Publisher(self.sink, self.counters, Origin("node-1", "node", 1), clock=lambda: self.now)

    def pass_interval(self, hits: int = 1) -> None:
        self.hits.add(hits)
        self.now += 5
        self.publisher.publish_now()


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_each_interval_gives_one_sample(setup: Setup) -> None:
    for hits in (1, 2, 0):
        setup.pass_interval(hits)
    assert [sample.hits for sample in setup.sink.samples] == [1, 2, 0]
    assert [(sample.started_at, sample.ended_at) for sample in setup.sink.samples] == [
        (1000, 1005),
        (1005, 1010),
        (1010, 1015),
    ]


def test_samples_wait_while_the_sink_is_down_and_come_in_order(setup: Setup) -> None:
    setup.sink.error = Unavailable("down")
    for _ in range(250):
        setup.pass_interval()
    assert setup.counters.read()["samples_waiting"] == 250
    assert setup.counters.read()["publish_failures"] == 250
    setup.sink.error = None
    setup.pass_interval()
    assert setup.sink.batches == [100, 100, 51]
    assert [sample.ended_at for sample in setup.sink.samples] == [1005 + 5 * number for number in range(251)]
    assert setup.counters.read()["samples_waiting"] == 0


def test_the_backlog_is_bounded_and_loses_the_oldest(setup: Setup) -> None:
    setup.sink.error = Unavailable("down")
    for _ in range(BACKLOG_SAMPLES + 3):
        setup.pass_interval()
    setup.sink.error = None
    setup.publisher.publish_now()
    assert setup.counters.read()["samples_dropped"] == 4
    assert len(setup.sink.samples) == BACKLOG_SAMPLES
    assert setup.sink.samples[0].ended_at == 1025


def test_refused_samples_do_not_hold_up_those_after_them(setup: Setup) -> None:
    setup.sink.error = InvalidRequest("no")
    setup.pass_interval()
    setup.sink.error = None
    setup.pass_interval(hits=7)
    assert [sample.hits for sample in setup.sink.samples] == [7]
    assert setup.counters.read()["samples_dropped"] == 1


def test_the_thread_publishes_at_each_wake_up_and_once_more_at_stop() -> None:
    sink, counters, now = RecordingSink(), Counters(), iter(range(100))
    wake_ups, waited = threading.Semaphore(0), []
    stop = threading.Event()

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        wake_ups.acquire()
        return stop.is_set()

    publisher = Publisher(
        sink, counters, Origin("web-1", "web"), clock=lambda: next(now), schedule=PublishSchedule(3), wait=wait
    )
    publisher.start()
    wake_ups.release(2)
    stop.set()
    wake_ups.release()
    publisher.stop()
    assert set(waited) == {3}
    assert 1 <= len(sink.samples) <= 3
    assert not [thread for thread in threading.enumerate() if thread.name == "metrics-publisher"]


def test_stop_flushes_at_once_whatever_the_interval() -> None:
    sink, counters = RecordingSink(), Counters()
    publisher = Publisher(sink, counters, Origin("node-0", "node", 0), schedule=PublishSchedule(3600))
    publisher.start()
    counters.counter("stored").add(9)
    publisher.stop()
    assert [sample.misses for sample in sink.samples] == [9]


def test_stop_without_start_does_nothing() -> None:
    Setup().publisher.stop()


def test_an_unexpected_error_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    sink, counters = RecordingSink(), Counters()
    failed, healed = threading.Event(), threading.Event()
    broken = False

    def read() -> dict[str, int]:
        if broken and not healed.is_set():
            failed.set()
            raise RuntimeError("no figures")
        return {}

    counters.follow(read)
    publisher = Publisher(sink, counters, Origin("node-0", "node", 0), schedule=PublishSchedule(0.001))
    broken = True
    publisher.start()
    assert failed.wait(60)
    healed.set()
    publisher.stop()
    assert sink.samples
    assert "taking a sample failed" in caplog.text


class Minutes:
    """A publisher by the minute, whose time passes while it waits, and a sink that fails as long as it is told to."""

    def __init__(self, failures: int, stop_after: int) -> None:
        self.now, self.waited, self.stop_after = 1_000_025.0, list[float](), stop_after
        self.failures, self.samples, self.attempts = failures, list[Sample](), list[float]()
        self.counters = Counters()
        self.publisher = Publisher(
            self,
            self.counters,
            Origin("node-0", "node", 0),
            schedule=EACH_MINUTE,
            clock=lambda: self.now,
            wait=self.wait,
        )
        self.publisher.start()
        self.publisher.stop(30)

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.now += seconds
        return len(self.waited) >= self.stop_after

    def publish(self, samples: Sequence[Sample]) -> None:
        self.attempts.append(self.now)
        if self.failures > 0:
            self.failures -= 1
            raise Unavailable("throttled")
        self.samples += samples


def test_samples_are_of_whole_minutes_by_the_clock() -> None:
    scene = Minutes(failures=0, stop_after=3)
    assert [sample.ended_at for sample in scene.samples] == [1_000_080, 1_000_140, 1_000_200]
    assert scene.attempts == [1_000_080, 1_000_140, 1_000_200]


def test_what_was_refused_is_tried_again_after_growing_pauses_and_the_next_minute_is_not_missed() -> None:
    scene = Minutes(failures=5, stop_after=8)
    pauses = [later - before for before, later in zip(scene.attempts, scene.attempts[1:], strict=False)]
    assert 1 <= pauses[0] <= 2
    assert 2 <= pauses[1] <= 4
    assert 4 <= pauses[2] <= 8
    assert 8 <= pauses[3] <= 16
    ends = [sample.ended_at for sample in scene.samples]
    assert ends == sorted(ends)
    assert all(abs(end - 60 * round(end / 60)) < 1e-6 for end in ends[:-1])
    assert len(ends) == len(set(ends))
    assert scene.counters.read()["publish_failures"] == 5
    assert scene.counters.read()["samples_waiting"] == 0


def test_an_outage_costs_a_few_attempts_a_minute_and_no_sample() -> None:
    scene = Minutes(failures=10_000, stop_after=400)
    minutes = (scene.now - 1_000_025) / 60
    assert minutes > 100
    assert len(scene.attempts) < 4 * minutes
    assert scene.counters.read()["samples_waiting"] == pytest.approx(minutes, abs=2)
