"""CloudWatch on its bad days, and what is made in it: dashboard, alarms, the doctor's findings."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from testing.cloudwatch_servers import REGION, CloudWatchServer, fresh_pool
from testing.fault_proxy import FaultProxy, answering, fault_proxy, hanging, losing_the_answer, refusing
from testing.object_servers import WRITER
from tests.unit.autoscaler.scaling.test_loop import Scene as LoopScene
from tests.unit.autoscaler.scaling.test_loop import decided
from tests.unit.cli.support import run, run_json

from elastic_images.core.errors import Unavailable
from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine
from elastic_images.doctor.metrics import check_metrics
from elastic_images.metrics.cloudwatch.boto import BotoCloudWatchService
from elastic_images.metrics.cloudwatch.location import Location
from elastic_images.metrics.cloudwatch.reader import FigureReader
from elastic_images.metrics.cloudwatch.store import CloudWatchMetricStore
from elastic_images.metrics.collector import Origin
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.publish_schedule import EACH_MINUTE
from elastic_images.metrics.publisher import Publisher
from elastic_images.metrics.sample import Kind, Sample

NOON = 1_700_006_400.0
THROTTLED = answering(400, b'{"__type":"com.amazonaws.cloudwatch#ThrottlingException","message":"Rate exceeded"}')
FORBIDDEN = answering(
    403, b'{"__type":"AccessDeniedException","message":"User: arn:aws:iam::1:user/x is not authorized"}'
)
SILENT = hanging(1.5)
BUSY = answering(503, b"<html>busy</html>")


@pytest.fixture
def proxy(cloudwatch_server: CloudWatchServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    with fault_proxy(cloudwatch_server.url) as proxy:
        for name, value in cloudwatch_server.environment(proxy.url).items():
            monkeypatch.setenv(name, value)
        yield proxy


@pytest.fixture(scope="module", autouse=True)
def _server_before_the_tests(cloudwatch_server: CloudWatchServer) -> None:
    """So that no test is the one that starts it."""


class PatientService:
    """As long as it is told to be impatient, it waits for half a second only: else a busy machine is no error."""

    def __init__(self) -> None:
        self._kinds = {wait: BotoCloudWatchService(answer_seconds=wait) for wait in (0.5, 30.0)}
        self.impatient_calls = 0

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        wait = 0.5 if self.impatient_calls > 0 else 30.0
        self.impatient_calls -= 1
        return self._kinds[wait].call(operation, **arguments)

    def close(self) -> None:
        for service in self._kinds.values():
            service.close()


class Scene:
    """A store behind the proxy, and a process that publishes to it."""

    def __init__(self) -> None:
        self.service = PatientService()
        location = Location("Tests", fresh_pool())
        self.now = NOON
        self.rested = 0.0
        reader = FigureReader(self.service, location, kept_seconds=0, clock=lambda: self.rested)
        self.store = CloudWatchMetricStore(self.service, location, reader, clock=lambda: self.now)
        self.counters = Counters()
        self.hits = self.counters.counter("hits")
        origin = Origin("node-0", "node", 0)
        self.publisher = Publisher(self.store, self.counters, origin, schedule=EACH_MINUTE, clock=lambda: self.now)

    def pass_minute(self, hits: int) -> None:
        self.hits.add(hits)
        self.now += 60
        self.publisher.publish_now()

    def hits_seen(self) -> list[float | None]:
        return [value for _, value in self.store.series("hits", 4, NOON + 239).points]


@pytest.fixture
def scene(proxy: FaultProxy) -> Iterator[Scene]:  # noqa: ARG001 - it sets the environment
    scene = Scene()
    yield scene
    scene.store.close()


@pytest.mark.parametrize("fault", [THROTTLED, BUSY, FORBIDDEN], ids=["throttled", "busy", "forbidden"])
def test_what_was_refused_waits_and_comes_with_its_own_time(proxy: FaultProxy, scene: Scene, fault: Any) -> None:
    proxy.put_in_the_way("POST", fault, times=2)
    for hits in (1, 2):
        scene.pass_minute(hits)
    assert scene.counters.read()["samples_waiting"] == 2
    assert scene.hits_seen() == [None, None, None, None]
    scene.pass_minute(4)
    assert scene.hits_seen() == [1, 2, 4, None]
    assert proxy.count("POST", "PutMetricData") == 3
    figures = scene.counters.read()
    assert (figures["samples_waiting"], figures["publish_failures"]) == (0, 2)


@pytest.mark.parametrize("fault", [losing_the_answer, SILENT], ids=["answer lost", "no answer"])
def test_what_may_be_there_is_never_counted_twice(proxy: FaultProxy, scene: Scene, fault: Any) -> None:
    proxy.put_in_the_way("POST", fault, containing="PutMetricData")
    scene.service.impatient_calls = fault is not losing_the_answer
    scene.pass_minute(1)
    scene.pass_minute(2)
    assert scene.hits_seen()[0] in (1, None)  # there once, or a gap; never 2, and never 0
    assert scene.hits_seen()[1:] == [2, None, None]
    assert scene.counters.read()["samples_waiting"] == 0


def test_a_service_that_is_away_is_unavailable_and_soon_nobody_asks(proxy: FaultProxy, scene: Scene) -> None:
    scene.pass_minute(1)
    proxy.put_in_the_way("POST", refusing, times=100)
    for _ in range(10):
        with pytest.raises(Unavailable, match="CloudWatch does not answer"):
            scene.store.windows(60, scene.now, ["node-0"])
    assert proxy.count("POST", "GetMetricData") == 1
    proxy.clear()
    with pytest.raises(Unavailable):
        scene.store.rate(60, scene.now)
    scene.rested += 5
    assert scene.store.rate(60, scene.now).hits == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (THROTTLED, "throttles this account"),
        (FORBIDDEN, "does not allow cloudwatch:GetMetricData to these credentials"),
        (answering(403, b'{"__type":"UnrecognizedClientException"}'), "does not accept the AWS credentials"),
        (answering(400, b'{"__type":"RequestExpired"}'), "whose clock is wrong"),
        (answering(500, b"{}"), "failed at GetMetricData"),
        (answering(200, b"no json"), r"failed at GetMetricData \(PartialData\)"),
        (SILENT, "does not answer"),
    ],
)
def test_errors_are_ours_and_tell_no_secret(
    proxy: FaultProxy, scene: Scene, fault: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "elastic_images")
    proxy.put_in_the_way("POST", fault)
    scene.service.impatient_calls = fault is SILENT
    with pytest.raises(Unavailable, match=words) as raised:
        scene.store.windows(60, NOON, ["node-0"])
    assert raised.value.__cause__ is None
    told = str(raised.value) + "".join(record.getMessage() for record in caplog.records if "elastic" in record.name)
    assert not any(secret in told for secret in (*WRITER, "arn:aws"))


def test_a_call_a_minute_for_all_figures_of_a_process(proxy: FaultProxy, scene: Scene) -> None:
    for _ in range(3):
        scene.pass_minute(1)
    assert proxy.count("POST") == proxy.count("POST", "PutMetricData") == 3


def test_figures_that_were_kept_for_hours_go_in_one_call_for_a_hundred_minutes(proxy: FaultProxy, scene: Scene) -> None:
    def sample(number: int) -> Sample:
        end = NOON - 60 * number
        return Sample(f"one-{number}", "web-1", "web", None, end - 60, end, 3, 1, 2, 4, 5, 6, 7, 8)

    scene.store.publish([sample(number) for number in range(100)])
    assert proxy.count("POST") == 1
    points = scene.store.series("bypasses", 101, NOON).points
    assert [value for _, value in points] == [5] * 100 + [None]


def test_no_connection_is_kept_from_one_minute_to_the_next(cloudwatch_server: CloudWatchServer, scene: Scene) -> None:
    process, port = psutil.Process(), urlsplit(os.environ["AWS_ENDPOINT_URL_CLOUDWATCH"]).port
    assert port != urlsplit(cloudwatch_server.url).port  # the proxy keeps connections, moto does not

    def open_connections() -> int:
        return sum(bool(one.raddr) and one.raddr.port == port for one in process.net_connections("tcp"))

    for _ in range(3):
        scene.pass_minute(1)
        scene.store.rate(60, scene.now)
        assert open_connections() == 0


@pytest.fixture
def loop(scene: Scene, tmp_path: Path) -> Iterator[LoopScene]:
    """A scaling loop whose figures come from the store; it is 20 s past noon."""
    engine = open_engine(f"sqlite:///{tmp_path}/scaling.db")
    metadata.create_all(engine)
    loop = LoopScene(engine)
    loop.now = NOON + 20
    loop.metrics = scene.store  # type: ignore[assignment]
    loop.loop = loop.make(60.0)
    yield loop
    engine.dispose()


def minute(source: str, age: int, misses: int) -> Sample:
    """A report of the minute that ended so many minutes before noon."""
    kind: Kind = "web" if source.startswith("web") else "node"
    slot = None if kind == "web" else int(source[5:])
    end = NOON - 60 * age
    return Sample(f"{source}-{age}", source, kind, slot, end - 60, end, misses, 0, misses)


def test_the_pool_grows_by_the_newest_minute_in_which_all_reported(scene: Scene, loop: LoopScene) -> None:
    for member in ("node-0", "node-1", "web-1"):
        loop.register(member, ago=600)
    assert decided(loop).inputs["missing"] == ["node-0", "node-1", "1 of 1 web processes"]
    scene.store.publish([minute(source, age, 10) for source in ("node-0", "web-1") for age in (0, 1, 2)])
    assert decided(loop).inputs["missing"] == ["node-1"]
    scene.store.publish([minute("node-1", 1, 10)])
    decision = decided(loop)
    assert (decision.action, decision.nodes_after) == ("grow", 4)
    assert (decision.inputs["requests"], decision.inputs["window_age_seconds"]) == (30, 80)


def test_the_pool_stays_as_it_is_while_cloudwatch_fails_or_is_late(
    proxy: FaultProxy, scene: Scene, loop: LoopScene
) -> None:
    loop.register("node-0", ago=600)
    scene.store.publish([minute("node-0", 0, 10)])
    for fault in (THROTTLED, FORBIDDEN, refusing):
        scene.rested += 100
        proxy.put_in_the_way("POST", fault)
        assert loop.loop.step() is None
        assert "Could not decide: CloudWatch" in loop.log.list(1)[0]["reason"]
    scene.rested += 100
    loop.now = NOON + 180
    assert (decided(loop).action, loop.config_store.current().num_nodes) == ("hold", 2)
    loop.now = NOON + 179
    assert decided(loop).action == "grow"


def settings(pool: str) -> list[str]:
    return ["--metrics", "cloudwatch://Shop/Images", "--pool", pool]


def outcomes(*words: str) -> list[str]:
    return [one["outcome"] for one in run_json("aws", *words)["done"]]


def test_the_dashboard_is_made_changed_and_deleted(proxy: FaultProxy, cloudwatch_server: CloudWatchServer) -> None:
    pool = fresh_pool()
    name = f"Shop-Images-{pool}"
    dry = run_json("aws", "dashboard", "--dry-run", *settings(pool))
    assert proxy.requests == []
    assert outcomes("dashboard", *settings(pool)) == ["made"]
    assert outcomes("dashboard", *settings(pool)) == ["unchanged"]
    with contextlib.closing(cloudwatch_server.client()) as client:
        assert json.loads(client.get_dashboard(DashboardName=name)["DashboardBody"]) == dry["body"]
        client.put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}')
    shown = run("aws", "dashboard", *settings(pool))
    assert f"dashboard {name}: changed\nhttps://{REGION}.console" in shown.output
    assert outcomes("dashboard", "--delete", *settings(pool)) == ["deleted"]
    assert outcomes("dashboard", "--delete", *settings(pool)) == ["absent"]


def test_the_dashboard_shows_every_figure_that_is_published(proxy: FaultProxy) -> None:  # noqa: ARG001
    pool = fresh_pool()
    body = run_json("aws", "dashboard", "--dry-run", *settings(pool))["body"]
    shown = [metric for widget in body["widgets"] for metric in widget["properties"]["metrics"]]
    series = [metric for metric in shown if not isinstance(metric[0], dict)]
    assert {metric[1] for metric in series} == {"Hits", "Misses", "Bypasses", "Evictions", "Items", "Bytes"}
    assert {tuple(metric[2:4]) for metric in series} == {("Pool", pool)}
    assert all(metric[0] == "Shop/Images" for metric in series)
    places = [(widget["x"], widget["y"]) for widget in body["widgets"]]
    assert len(set(places)) == len(places)


def test_alarms_are_made_changed_and_deleted(proxy: FaultProxy, cloudwatch_server: CloudWatchServer) -> None:
    pool = fresh_pool()
    names = [f"Shop-Images-{pool}-{name}" for name in ("silent", "miss-rate", "bypasses")]
    topic = "arn:aws:sns:eu-central-1:123456789012:on-call"
    assert len(run_json("aws", "alarms", "--dry-run", *settings(pool))["alarms"]) == 3
    assert proxy.requests == []
    assert outcomes("alarms", *settings(pool)) == ["made", "made", "made"]
    assert outcomes("alarms", *settings(pool)) == ["unchanged", "unchanged", "unchanged"]
    assert outcomes("alarms", "--notify", topic, *settings(pool)) == ["changed", "changed", "changed"]
    assert outcomes("alarms", "--miss-rate", "0.8", *settings(pool)) == ["unchanged", "changed", "unchanged"]
    with contextlib.closing(cloudwatch_server.client()) as client:
        found = {alarm["AlarmName"]: alarm for alarm in client.describe_alarms(AlarmNames=names)["MetricAlarms"]}
    assert sorted(found) == sorted(names)
    assert all(alarm["AlarmActions"] == alarm["OKActions"] == [topic] for alarm in found.values())
    assert found[names[0]]["TreatMissingData"] == "breaching"
    assert found[names[1]]["Threshold"] == 0.8
    assert len(found[names[1]]["Metrics"]) <= 10
    assert outcomes("alarms", "--delete", *settings(pool)) == ["deleted", "deleted", "deleted"]
    assert outcomes("alarms", "--delete", *settings(pool)) == ["absent", "absent", "absent"]


def test_commands_need_figures_in_cloudwatch_and_say_what_fails(proxy: FaultProxy) -> None:
    local = run("aws", "dashboard")
    assert (local.exit_code, "set --metrics cloudwatch://NAMESPACE" in local.output) == (2, True)
    proxy.put_in_the_way("POST", FORBIDDEN)
    refused = run("aws", "alarms", *settings(fresh_pool()))
    assert refused.exit_code == 5
    assert "does not allow cloudwatch:DescribeAlarms" in refused.output


def found(pool: str, clock: float | None = None) -> list[tuple[str, str, str, str | None]]:
    findings = check_metrics("cloudwatch://Tests", pool, **({} if clock is None else {"clock": lambda: clock}))
    return [(one.area, one.state, one.what, one.mend) for one in findings]


def test_the_doctor_puts_reads_and_compares_clocks(proxy: FaultProxy, scene: Scene) -> None:
    pool = scene.store._location.pool
    assert [one[:2] for one in found(pool)] == [("metrics", "ok"), ("clocks", "ok"), ("metrics", "note")]
    scene.store.publish([Sample("one", "web-1", "web", None, NOON - 60, NOON - 30, hits=1)])
    late = found(pool, NOON)
    assert [one[:2] for one in late] == [("metrics", "ok"), ("clocks", "note"), ("metrics", "ok")]
    assert proxy.count("POST", "Metric") == 5


@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        (FORBIDDEN, "allow cloudwatch:PutMetricData"),
        (answering(403, b'{"__type":"SignatureDoesNotMatch"}'), "correct AWS_ACCESS_KEY_ID"),
        (refusing, "check that this machine can reach CloudWatch"),
    ],
)
def test_the_doctor_says_how_to_mend_it(proxy: FaultProxy, fault: Any, mend: str) -> None:
    proxy.put_in_the_way("POST", fault)
    state, what = found(fresh_pool())[0][1:3]
    assert (state, "metrics cannot be written" in what) == ("bad", True)
    proxy.put_in_the_way("POST", fault)
    assert mend in str(found(fresh_pool())[0][3])


def test_the_doctor_has_nothing_to_say_of_local_figures() -> None:
    assert list(check_metrics("local", "default")) == []


def test_the_doctor_names_a_setting_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    (finding,) = check_metrics("cloudwatch://Tests", "default")
    assert (finding.state, "AWS_DEFAULT_REGION" in finding.what) == ("bad", True)
