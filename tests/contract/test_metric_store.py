"""What every metric store does, and every sink in front of one: the store itself, HTTP to the autoscaler, CloudWatch.

CloudWatch knows whole minutes and no single web process. What a store says of samples and of single web processes is
asked of the local one alone (`fine`); what CloudWatch says of minutes instead is at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from testing.cloudwatch_servers import CloudWatchServer, fresh_pool
from werkzeug.serving import make_server

from elastic_images.core.errors import InvalidRequest, Unavailable
from elastic_images.http.base_app import base_app
from elastic_images.http.internal_client import InternalClient
from elastic_images.metrics.backends import open_metric_sink, open_metric_store
from elastic_images.metrics.cloudwatch.boto import BotoCloudWatchService
from elastic_images.metrics.cloudwatch.location import Location
from elastic_images.metrics.cloudwatch.reader import FigureReader
from elastic_images.metrics.cloudwatch.store import CloudWatchMetricStore
from elastic_images.metrics.sample import Sample, batch_from_json
from elastic_images.metrics.store import SERIES_NAMES, MetricSink, MetricStore

NOON = 1_700_006_400.0
"""A whole minute, quarter and hour."""


@dataclass
class Backend:
    sink: MetricSink
    store: MetricStore


def receiver(store: MetricStore, token: str) -> Flask:
    app = base_app(__name__, internal_token=token)

    @app.post("/internal/metrics")
    def take() -> dict[str, Any]:
        store.publish(batch_from_json(request.get_json()))
        return {}

    return app


def cloudwatch_store(clock: float = NOON) -> CloudWatchMetricStore:
    """Answers are not kept: what was just published is read."""
    service, location = BotoCloudWatchService(), Location("Tests", fresh_pool())
    return CloudWatchMetricStore(
        service, location, FigureReader(service, location, kept_seconds=0), clock=lambda: clock
    )


@contextmanager
def local_backend(kind: str, folder: Path) -> Iterator[Backend]:
    store = open_metric_store("local", folder, clock=lambda: NOON, pool="default")
    if kind == "local":
        yield Backend(store, store)
        store.close()
        return
    server = make_server("127.0.0.1", 0, receiver(store, "secret"), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    http = InternalClient("secret")
    yield Backend(open_metric_sink("local", http, f"http://127.0.0.1:{server.port}", pool="default"), store)
    http.close()
    server.shutdown()
    thread.join()
    server.server_close()
    store.close()


LOCAL = ["local", "local over HTTP"]


@pytest.fixture(params=LOCAL)
def fine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """A store that knows every sample."""
    with local_backend(request.param, tmp_path) as backend:
        yield backend


@pytest.fixture(scope="module", autouse=True)
def _server_before_the_tests(cloudwatch_server: CloudWatchServer) -> None:
    """So that no test is the one that starts it."""


@pytest.fixture
def minutely(cloudwatch_server: CloudWatchServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """A store that knows whole minutes."""
    for name, value in cloudwatch_server.environment().items():
        monkeypatch.setenv(name, value)
    store = cloudwatch_store()
    yield Backend(store, store)
    store.close()


@pytest.fixture(params=[*LOCAL, "CloudWatch"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "CloudWatch":
        yield request.getfixturevalue("minutely")
        return
    with local_backend(request.param, tmp_path) as backend:
        yield backend


def sample(source: str, ended_at: float, hits: int = 0, misses: int = 0, **more: int) -> Sample:
    kind, _, rest = source.partition("-")
    return Sample(
        id=f"{source}-{ended_at}",
        source=source,
        kind="node" if kind == "node" else "web",
        slot=int(rest) if kind == "node" else None,
        started_at=ended_at,  # so short that it is in one minute, however a store reckons
        ended_at=ended_at,
        requests=hits + misses,
        hits=hits,
        misses=misses,
        **more,
    )


def values(backend: Backend, name: str, minutes: int = 3, source: str | None = None) -> list[float | None]:
    return [value for _, value in backend.store.series(name, minutes, NOON, source).points]


def test_points_are_whole_minutes_and_the_last_is_under_way(backend: Backend) -> None:
    series = backend.store.series("hits", 3, NOON + 59.9)
    assert [moment for moment, _ in series.points] == [NOON - 120, NOON - 60, NOON]
    assert (series.name, series.step_seconds, series.source) == ("hits", 60, None)


def test_a_dead_process_is_a_gap_and_an_idle_one_a_zero(backend: Backend) -> None:
    backend.sink.publish([sample("node-0", NOON - 120, hits=5), sample("node-0", NOON)])
    assert values(backend, "hits") == [5, None, 0]
    assert values(backend, "nodes") == [1, None, 1]
    assert values(backend, "items") == [0, None, 0]


def test_a_rate_without_requests_is_a_gap(backend: Backend) -> None:
    backend.sink.publish([sample("node-0", NOON - 60), sample("node-0", NOON, hits=3, misses=1)])
    assert values(backend, "hit_rate", 2) == [None, 0.75]
    assert values(backend, "miss_rate", 2) == [None, 0.25]


def test_counts_are_summed_and_gauges_taken_last_over_all_sources(backend: Backend) -> None:
    gauges = [("items", "items"), ("used_bytes", "bytes")]
    backend.sink.publish(
        [
            sample("node-0", NOON + 10, hits=1, misses=2, evictions=3, items=100, used_bytes=1000),
            sample("node-0", NOON + 5, hits=1, misses=2, evictions=3, items=50, used_bytes=500),
            sample("node-1", NOON + 10, hits=10, items=7, used_bytes=70),
            sample("web-1a2b", NOON + 10, hits=20, misses=4, bypasses=4, items=1, used_bytes=5),
        ]
    )
    expected = {"requests": 40, "hits": 32, "misses": 8, "evictions": 6, "bypasses": 4, "items": 108, "bytes": 1075}
    assert {name: values(backend, name, 1) for name in expected} == {name: [n] for name, n in expected.items()}
    assert values(backend, "nodes", 1) == [2]
    assert values(backend, "miss_rate", 1) == [0.2]
    assert values(backend, "hits", 1, source="node-0") == [2]
    assert [values(backend, shown, 1, source="node-0") for _, shown in gauges] == [[100], [1000]]


def test_a_late_sample_lands_in_its_minute(backend: Backend) -> None:
    backend.sink.publish([sample("node-0", NOON, hits=1, items=9)])
    backend.sink.publish([sample("node-0", NOON - 55, hits=2, items=4), sample("node-0", NOON - 115, hits=3)])
    assert values(backend, "hits") == [3, 2, 1]
    assert values(backend, "items") == [0, 4, 9]


def test_a_repeated_batch_changes_nothing(backend: Backend) -> None:
    batch = [sample("node-0", NOON - 5, hits=1), sample("node-0", NOON, hits=2)]
    backend.sink.publish(batch)
    backend.sink.publish(batch)
    backend.sink.publish([*batch, sample("node-1", NOON, hits=4)])
    assert values(backend, "hits", 2) == [1, 6]


def test_a_repeated_batch_does_not_change_the_rate(fine: Backend) -> None:
    batch = [sample("node-0", NOON - 5, hits=1), sample("node-0", NOON, hits=2)]
    fine.sink.publish(batch)
    fine.sink.publish(batch)
    assert fine.store.rate(60, NOON).hits == 3


def test_two_runs_of_one_source_both_count(backend: Backend) -> None:
    first = sample("node-0", NOON, hits=1)
    backend.sink.publish([first, replace(first, id="another-run")])
    assert values(backend, "hits", 1) == [2]
    assert values(backend, "nodes", 1) == [1]


def test_the_rate_is_over_samples_that_ended_in_the_window(fine: Backend) -> None:
    fine.sink.publish(
        [
            sample("node-0", NOON - 60, hits=1000),
            sample("node-0", NOON - 59, hits=6),
            sample("web-1a2b", NOON, misses=2),
            sample("node-0", NOON + 1, hits=1000),
        ]
    )
    rate = fine.store.rate(60, NOON)
    assert (rate.requests, rate.hits, rate.misses) == (8, 6, 2)
    assert (rate.miss_rate, rate.hit_rate) == (0.25, 0.75)
    assert rate.sources == ("node-0", "web-1a2b")
    assert rate.missing(["node-0", "node-2", "node-1"]) == ("node-1", "node-2")


def test_there_is_no_rate_without_requests(backend: Backend) -> None:
    backend.sink.publish([sample("node-0", NOON - 1)])
    rate = backend.store.rate(60, NOON)
    assert (rate.requests, rate.miss_rate, rate.hit_rate, rate.sources) == (0, None, None, ("node-0",))
    assert backend.store.rate(60, NOON + 240).to_json() == {
        "requests": 0,
        "hits": 0,
        "misses": 0,
        "miss_rate": None,
        "hit_rate": None,
        "sources": [],
    }


def test_every_name_has_a_series(backend: Backend) -> None:
    backend.sink.publish([sample("node-0", NOON, hits=1, misses=1), sample("web-1a2b", NOON)])
    for name in SERIES_NAMES:
        (point,) = backend.store.series(name, 1, NOON).points
        assert point[1] is not None
        assert backend.store.series(name, 1, NOON).to_json() == {
            "name": name,
            "source": None,
            "step_seconds": 60,
            "points": [point],
        }


@pytest.mark.parametrize(
    ("name", "minutes", "message"),
    [
        ("hitz", 1, "Unknown figure 'hitz'"),
        ("hits) FROM step; --", 1, "Unknown figure"),
        ("hits", 0, "minutes must be from 1 to 43200, not 0"),
        ("hits", 43_201, "minutes must be from 1 to 43200, not 43201"),
    ],
)
def test_a_series_that_makes_no_sense_is_refused(backend: Backend, name: str, minutes: int, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        backend.store.series(name, minutes, NOON)


@pytest.mark.parametrize("window", [0, -1, 3601, float("nan"), float("inf")])
def test_a_window_that_makes_no_sense_is_refused(backend: Backend, window: float) -> None:
    with pytest.raises(InvalidRequest, match="window_seconds must be from 1 to 3600"):
        backend.store.rate(window, NOON)


def test_publishers_at_once_lose_nothing(backend: Backend) -> None:
    def publish(slot: int) -> None:
        for number in range(20):
            backend.sink.publish([sample(f"node-{slot}", NOON + number, hits=1)] * 2)

    threads = [threading.Thread(target=publish, args=(slot,)) for slot in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(backend, "hits", 1) == [160]


def test_a_receiver_that_is_down_is_unavailable() -> None:
    # Port 1 of the loopback has no listener.
    sink = open_metric_sink("local", InternalClient("secret"), "http://127.0.0.1:1", pool="default")
    with pytest.raises(Unavailable):
        sink.publish([sample("node-0", NOON)])


def test_a_window_ends_now_and_holds_what_the_rate_does(fine: Backend) -> None:
    fine.sink.publish([sample("node-0", NOON - 61, hits=1000), sample("node-0", NOON, hits=6), sample("web-1", NOON)])
    (window,) = fine.store.windows(60, NOON, ["node-0", "node-1"])
    assert (window.started_at, window.ended_at, window.web_reports) == (NOON - 65, NOON, None)
    assert window.rate == fine.store.rate(60, NOON)
    assert window.rate.missing(["node-0", "node-1"]) == ("node-1",)


def minute(source: str, started_at: float, hits: int = 0, misses: int = 0, **more: int) -> Sample:
    """As a process takes it: nearly of one minute."""
    return replace(sample(source, started_at + 60.2, hits, misses, **more), started_at=started_at + 0.1)


def test_windows_are_the_last_three_whole_minutes(minutely: Backend) -> None:
    minutely.sink.publish(
        [
            minute("node-0", NOON - 240, hits=1000),
            *(minute(source, NOON - 180, hits=1, misses=2) for source in ("node-0", "node-1", "web-1", "web-2")),
            *(minute(source, NOON - 120, hits=4) for source in ("node-0", "node-1", "web-1")),
            minute("node-1", NOON - 60, hits=8),
            minute("node-0", NOON, hits=1000),
        ]
    )
    newest, middle, oldest = minutely.store.windows(60, NOON + 59, ["node-0", "node-1"])
    assert [window.ended_at for window in (newest, middle, oldest)] == [NOON, NOON - 60, NOON - 120]
    assert NOON - 62 < newest.started_at < NOON - 60
    assert (newest.rate.hits, newest.rate.sources, newest.web_reports) == (8, ("node-1",), 0)
    assert (middle.rate.hits, middle.rate.sources, middle.web_reports) == (12, ("node-0", "node-1", "web"), 1)
    assert (oldest.rate.requests, oldest.rate.misses, oldest.web_reports) == (12, 8, 2)
    assert minutely.store.rate(60, NOON + 59) == middle.rate
    assert minutely.store.rate(60, NOON + 179).sources == ("node-0",)


def test_a_long_window_has_only_sources_that_reported_in_each_of_its_minutes(minutely: Backend) -> None:
    minutely.sink.publish(
        [
            *(minute("node-0", NOON - 60 * number, hits=1) for number in (1, 2, 3)),
            *(minute("node-1", NOON - 60 * number, hits=1) for number in (1, 3)),
        ]
    )
    newest = minutely.store.windows(180, NOON, ["node-0", "node-1"])[0]
    assert (newest.rate.hits, newest.rate.sources) == (5, ("node-0",))
    assert newest.started_at < NOON - 180


def test_days_are_shown_in_quarters(minutely: Backend) -> None:
    of_the_pool = [minute("node-0", NOON - 60 * number, hits=2, items=10) for number in range(1, 16)]
    of_web = [minute(f"web-{one}", NOON - 60 * number, items=3) for number in range(1, 16) for one in (1, 2)]
    minutely.sink.publish([*of_the_pool, *of_web])
    series = {name: minutely.store.series(name, 2881, NOON) for name in ("hits", "items", "nodes")}
    assert {one.step_seconds for one in series.values()} == {900}
    assert {name: one.points[-2] for name, one in series.items()} == {
        "hits": (NOON - 900, 30),
        "items": (NOON - 900, 16),
        "nodes": (NOON - 900, 1),
    }
    assert series["hits"].points[-1] == (NOON, None)


def test_web_processes_are_one_source(minutely: Backend) -> None:
    minutely.sink.publish([sample("web-1", NOON, hits=1, items=2), sample("web-2", NOON, hits=4, items=8)])
    assert values(minutely, "hits", 1, source="web") == [5]
    assert values(minutely, "items", 1, source="web") == [10]
    assert values(minutely, "nodes", 1) == [0]
    assert values(minutely, "hits", 1, source="web-1") == [None]


def test_series_are_of_pool_and_slot_and_of_nothing_else(
    minutely: Backend, cloudwatch_server: CloudWatchServer
) -> None:
    assert isinstance(minutely.store, CloudWatchMetricStore)
    pool = minutely.store._location.pool
    for run in range(3):
        minutely.sink.publish(
            [replace(sample(source, NOON + run, hits=1), id=f"{source}-{run}") for source in ("node-0", f"web-{run}")]
        )
    of_pool = ("Pool", pool)
    names = {"node": ("Hits", "Misses", "Evictions", "Items", "Bytes"), "pool": ("Hits", "Misses")}
    assert {one for one in cloudwatch_server.series() if of_pool in one[1]} == (
        {(name, (of_pool, ("Slot", "0"))) for name in names["node"]}
        | {(name, (of_pool, ("Slot", "web"))) for name in (*names["node"], "Bypasses")}
        | {(name, (of_pool,)) for name in names["pool"]}
    )


def test_untimely_samples_are_left_out_and_the_others_taken(minutely: Backend) -> None:
    day = 86_400
    minutely.sink.publish(
        [
            sample("node-0", NOON - 15 * day, hits=1),
            sample("node-0", NOON + day, hits=1),
            sample("node-0", NOON, hits=1),
        ]
    )
    assert values(minutely, "hits", 1) == [1]
