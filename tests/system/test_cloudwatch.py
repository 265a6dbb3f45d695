"""The whole system with its figures in CloudWatch (moto), and what it does while CloudWatch fails.

Figures are of whole minutes, so this waits for one to end: up to a minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from testing.cloudwatch_servers import CloudWatchServer, cloudwatch, fresh_pool
from testing.fault_proxy import FaultProxy, answering, fault_proxy, hanging
from testing.object_servers import WRITER
from testing.photographs import Photograph
from testing.reading import readers
from testing.system import System, running
from testing.waiting import wait_for

from elastic_images.core.pool_document import DecisionRecord

THROTTLED = answering(400, b'{"__type":"ThrottlingException","message":"Rate exceeded"}')
ALWAYS = 1_000_000


@dataclass(frozen=True, slots=True)
class Cloud:
    """A system, its CloudWatch, and the proxy between them."""

    system: System
    server: CloudWatchServer
    proxy: FaultProxy
    pool: str
    first_minute: int
    """In which it was started."""


def minute_now() -> int:
    return int(time.time() // 60)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    pool = fresh_pool()
    with ExitStack() as stack:
        server = stack.enter_context(cloudwatch())
        proxy = stack.enter_context(fault_proxy(server.url))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in server.environment(proxy.url).items():
            patch.setenv(name, value)
        settings = {"metrics": "cloudwatch://Shop", "pool": pool, "nodes": 2, "scaling_interval_seconds": 3}
        first_minute = minute_now()
        yield Cloud(stack.enter_context(running(tmp_path, **settings)), server, proxy, pool, first_minute)


def decisions(cloud: Cloud) -> list[DecisionRecord]:
    return cloud.system.autoscaler().decisions(200)


def seen_by_the_scaler(cloud: Cloud) -> DecisionRecord | None:
    """A decision for which the two nodes and web had reported."""
    found = (one for one in decisions(cloud) if one["inputs"].get("requests") and not one["inputs"]["missing"])
    return next(found, None)


def test_figures_come_from_cloudwatch_and_its_bad_days_change_nothing(
    cloud: Cloud, few: tuple[Photograph, ...]
) -> None:
    system = cloud.system
    for photo in few:
        assert system.admin().put(photo.name, photo.body).status == 201
    system.autoscaler().update_config({"mode": "auto", "max_miss": 0.9, "min_miss": 0.0})
    with readers(system.client(), few, threads=2) as seen:
        decided = wait_for(lambda: seen_by_the_scaler(cloud), "all have reported a minute", seconds=150, every=0.5)
        puts, minutes = cloud.proxy.count("POST", "PutMetricData"), minute_now() - cloud.first_minute
        rate, manager = (
            system.autoscaler().rate(),
            system.client((system.data / "cli-token").read_text().strip(), app="manager"),
        )
        figures = manager.request("GET", "/api/rate")

        cloud.proxy.put_in_the_way("POST", THROTTLED, times=ALWAYS)
        seen.wait_for_more(500)
        wait_for(lambda: decisions(cloud)[0]["action"] == "error", "a decision fails", seconds=60, every=0.5)
        cloud.proxy.clear()
        cloud.proxy.put_in_the_way("POST", hanging(8), times=ALWAYS)
        seen.wait_for_more(500)
    assert not seen.failures

    # One call for each of the three processes and minute, whatever it counts.
    assert 3 <= puts <= 3 * minutes
    assert rate["sources"] == ["node-0", "node-1", "web"]
    assert rate["requests"] > 0
    assert (figures.status, figures.json["requests"]) == (200, rate["requests"])
    assert decided["inputs"]["window_age_seconds"] <= 180
    assert {one for series in cloud.server.series() for one in series[1]} == {
        ("Pool", cloud.pool),
        *(("Slot", slot) for slot in ("0", "1", "web")),
    }
    # Nothing moved: before there were figures, after there were none, and between.
    assert {one["action"] for one in decisions(cloud)} <= {"hold", "error"}
    assert system.pool()["wanted"] == 2
    assert len(system.autoscaler().resizes(10)) == 1
    assert all(secret not in system.log_path.read_text() for secret in WRITER)
