"""The autoscaler's routes, by its own client, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from testing.waiting import wait_for
from tests.apps.autoscaler_support import Autoscaler, autoscaler
from tests.unit.autoscaler.world import FakeNodeProvider

from elastic_images.core.cache import ByteCache
from elastic_images.core.coherent_cache import CoherentCache
from elastic_images.core.errors import InvalidRequest, Unauthenticated, Unavailable
from elastic_images.http.internal_client import InternalClient, decoded
from elastic_images.metrics.sample import Sample
from elastic_images.pool.control_listener import ControlListener
from elastic_images.pool.view import Member

DEFAULTS = {
    "mode": "manual",
    "num_nodes": 1,
    "cache_mb": 64,
    "policy": "LRU",
    "expand_ratio": 2.0,
    "shrink_ratio": 0.5,
    "max_miss": 0.3,
    "min_miss": 0.05,
    "assignment": "alternating",
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Autoscaler]:
    """An autoscaler whose nodes never come up."""
    with autoscaler(tmp_path) as made:
        provider = FakeNodeProvider(time.monotonic)
        provider.broken.update(range(8))
        made.start(provider)
        wait_for(lambda: len(made.client.events()) > 0, "the first step")
        yield made


def get(app: Autoscaler, path: str) -> Any:
    return decoded(app.http.request("GET", f"http://{app.bound.address}{path}"))


def test_a_successor_acts_once_the_one_before_it_has_ended(app: Autoscaler) -> None:
    successor = Autoscaler(app.settings, app.bound)
    provider = FakeNodeProvider(time.monotonic)
    successor.start(provider)
    assert get(app, "/internal/config")["mode"] == "manual"
    assert not provider.launches
    app.stop()
    wait_for(lambda: provider.launches, "the successor acts")
    successor.stop()
    successor.http.close()


def test_without_the_internal_token_everything_is_refused(app: Autoscaler) -> None:
    stranger = InternalClient("another token")
    for path in ("pool", "config", "decisions", "resizes", "events", "metrics", "rate"):
        with pytest.raises(Unauthenticated):
            stranger.get_json(f"http://{app.bound.address}/internal/{path}")
    stranger.close()


def test_it_is_alive_at_once_and_ready_when_there_is_a_map(app: Autoscaler) -> None:
    for path in ("/healthz", "/metrics"):
        assert app.http.request("GET", f"http://{app.bound.address}{path}").status == 200
    found = app.client.readiness()
    assert (found.read, found.write) == (False, False)
    assert "no map yet" in found.checks["pool_map"].detail
    assert not found.checks["process"].ok
    assert all(found.checks[name].ok for name in ("database", "resizer", "metrics"))
    with pytest.raises(Unavailable):
        get(app, "/readyz")


def test_a_new_pool_is_shown(app: Autoscaler) -> None:
    pool = app.client.pool()
    assert (pool["map"], pool["wanted"], pool["mode"], pool["phase"]) == (None, 1, "manual", "new")
    assert pool["resize"] is None
    assert [(node["slot"], node["state"], node["partitions"]) for node in pool["nodes"]] == [(0, "absent", [])]


def test_settings_are_shown_and_changed(app: Autoscaler) -> None:
    assert app.client.config() == DEFAULTS
    changed = app.client.update_config({"num_nodes": "3", "policy": "RR", "max_miss": 0.5})
    assert changed == {**DEFAULTS, "num_nodes": 3, "policy": "RR", "max_miss": 0.5}
    assert app.client.config() == changed
    assert app.client.pool()["wanted"] == 3
    assert app.client.update_config({}) == changed


@pytest.mark.parametrize(
    "changes",
    [
        {"num_nodes": 0},
        {"num_nodes": 9},
        {"num_nodes": float("nan")},
        {"num_nodes": "abc"},
        {"cache_mb": -1},
        {"policy": "FIFO"},
        {"mode": "automatic"},
        {"assignment": "round-robin"},
        {"max_miss": float("nan")},
        {"expand_ratio": float("inf")},
        {"min_miss": 0.5, "max_miss": 0.4},
        {"num_nodes": 2, "nodes": 2},
    ],
)
def test_a_bad_setting_is_refused_and_nothing_changes(app: Autoscaler, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        app.client.update_config(changes)
    assert app.client.config() == DEFAULTS


@pytest.mark.parametrize("body", [b"", b"[1]", b"not json", b'"num_nodes"'])
def test_a_body_that_is_no_object_is_refused(app: Autoscaler, body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        app.http.request(
            "PATCH",
            f"http://{app.bound.address}/internal/config",
            body=body,
            headers={"Content-Type": "application/json"},
        )


def test_records_come_in_pages(app: Autoscaler) -> None:
    app.client.update_config({"cache_mb": 65})
    app.client.update_config({"cache_mb": 66})
    newest = app.client.events(200)
    messages = [event["message"] for event in newest]
    newer, older = (next(at for at, message in enumerate(messages) if message.endswith(f"= {mb}")) for mb in (66, 65))
    assert newer < older
    assert app.client.events(1, newest[newer]["id"]) == [newest[newer + 1]]
    assert any(event["kind"] == "node-not-launched" for event in newest)
    assert app.client.resizes() == []
    assert app.client.decisions() == []


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "before=1.5", "before=99999999999999999999", "limit=²"])
@pytest.mark.parametrize("what", ["decisions", "resizes", "events"])
def test_a_bad_page_is_refused(app: Autoscaler, what: str, query: str) -> None:
    with pytest.raises(InvalidRequest):
        get(app, f"/internal/{what}?{query}")


def test_samples_come_in_and_are_given_back(app: Autoscaler) -> None:
    now = time.time()
    sample = Sample("a-1", "node-0", "node", 0, now - 5, now, requests=10, hits=7, misses=3)
    app.client.publish([asdict(sample)])
    app.client.publish([asdict(sample)])
    rate = app.client.rate(60)
    assert (rate["requests"], rate["hits"], rate["misses"]) == (10, 7, 3)
    assert rate["miss_rate"] == pytest.approx(0.3)
    series = app.client.metrics("requests", 5)
    assert sum(value for _, value in series["points"] if value) == 10
    assert app.client.metrics("hits", 5, "node-0")["source"] == "node-0"


def test_a_pool_without_requests_has_no_rate(app: Autoscaler) -> None:
    rate = app.client.rate()
    assert (rate["requests"], rate["miss_rate"], rate["hit_rate"]) == (0, None, None)


@pytest.mark.parametrize(
    "path",
    ["metrics", "metrics?name=weather", "metrics?name=hits&minutes=0", "metrics?name=hits&minutes=x"]
    + [f"rate?window_seconds={seconds}" for seconds in ("0", "nan", "x", "inf")],
)
def test_figures_that_are_not_there_are_refused(app: Autoscaler, path: str) -> None:
    with pytest.raises(InvalidRequest):
        get(app, f"/internal/{path}")


def test_samples_that_make_no_sense_are_refused(app: Autoscaler) -> None:
    with pytest.raises(InvalidRequest):
        app.client.publish([{"id": "x"}])


def test_members_register_and_poll_here_too(app: Autoscaler) -> None:
    member = asdict(Member("a" * 32, "web-1", "web", "127.0.0.1:1", ""))
    url = f"http://{app.bound.address}/internal/pool"
    assert app.http.post_json(f"{url}/register", {"member": member})["state"] == "live"
    answer = app.http.post_json(f"{url}/poll", {"incarnation": "a" * 32, "epoch": 0, "stamp": "", "wait": 0})
    assert answer["state"] == "live"
    assert answer["config"]["cache_bytes"] == 64_000_000


def test_clearing_reaches_every_live_member_and_names_who_did_not_answer(app: Autoscaler) -> None:
    cache = CoherentCache(ByteCache(1_000_000), time.monotonic, slot=None)
    cache.start_incarnation("b" * 32)
    listener = ControlListener("127.0.0.1", 0, app.settings.internal_token, cache)
    listener.start()
    url = f"http://{app.bound.address}/internal/pool/register"
    try:
        there = asdict(Member("b" * 32, "web-1", "web", f"127.0.0.1:{listener.port}", ""))
        gone = asdict(Member("c" * 32, "web-2", "web", "127.0.0.1:9", ""))
        for member in (there, gone):
            app.http.post_json(url, {"member": member})
        assert app.client.clear() == {"cleared": ["web-1"], "failed": ["web-2"]}
    finally:
        listener.stop()


def test_an_autoscaler_that_is_down_is_unavailable(app: Autoscaler) -> None:
    app.stop()
    with pytest.raises(Unavailable):
        app.client.pool()


def test_its_own_figures_are_on_metrics(app: Autoscaler) -> None:
    text = app.http.request("GET", f"http://{app.bound.address}/metrics").data.decode()
    assert "elastic_images_pool_wanted_nodes 1.0" in text
    assert "elastic_images_autoscaler_resizes_total 0.0" in text
