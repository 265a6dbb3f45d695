from __future__ import annotations

import sys
from pathlib import Path

import pytest

from elastic_images.core.errors import InvalidRequest, Unavailable
from elastic_images.http.internal_client import InternalClient
from elastic_images.metrics.backends import open_metric_sink, open_metric_store, publish_schedule_of
from elastic_images.metrics.cloudwatch.location import location_of
from elastic_images.metrics.cloudwatch.store import CloudWatchMetricStore
from elastic_images.metrics.http_sink import HttpMetricSink
from elastic_images.metrics.local.store import LocalMetricStore


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("cloudwatch://", "Metrics in CloudWatch need cloudwatch://NAMESPACE"),
        ("cloudwatch://AWS/EC2", "does not start with AWS/"),
        ("cloudwatch://Mine?region=eu", "boto3 finds the region and credentials"),
        ("cloudwatch://user:secret@Mine", "Metrics in CloudWatch need"),
        ("cloudwatch://" + 256 * "x", "Metrics in CloudWatch need"),
        ("file:///tmp", "The metrics setting must be local or cloudwatch://NAMESPACE."),
    ],
)
def test_other_settings_are_refused(setting: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=message):
        open_metric_store(setting, tmp_path, pool="default")
    with pytest.raises(InvalidRequest, match=message):
        open_metric_sink(setting, InternalClient("token"), "http://127.0.0.1:1", pool="default")
    assert list(tmp_path.iterdir()) == []


def test_local_is_a_file_for_the_autoscaler_and_http_for_the_others(tmp_path: Path) -> None:
    store = open_metric_store("local", tmp_path, pool="default")
    store.close()
    assert isinstance(store, LocalMetricStore)
    assert (tmp_path / "metrics.sqlite3").exists()
    assert isinstance(
        open_metric_sink("local", InternalClient("token"), "http://127.0.0.1:1", pool="default"), HttpMetricSink
    )


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="The metrics file cannot be used"):
        open_metric_store("local", tmp_path / "missing", pool="default")


def test_cloudwatch_is_for_all_and_connects_to_nothing_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    store = open_metric_store("cloudwatch://My/Images", tmp_path, pool="one")
    sink = open_metric_sink("CloudWatch://My/Images", InternalClient("token"), "http://127.0.0.1:1", pool="one")
    assert isinstance(store, CloudWatchMetricStore)
    assert isinstance(sink, CloudWatchMetricStore)
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_region_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(InvalidRequest, match="set AWS_DEFAULT_REGION"):
        open_metric_store("cloudwatch://Mine", tmp_path, pool="default")


def test_without_boto3_it_is_said_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(InvalidRequest, match=r"pip install 'elastic-images\[aws\]'"):
        open_metric_store("cloudwatch://Mine", tmp_path, pool="default")


def test_only_what_costs_money_is_published_by_the_minute() -> None:
    assert (publish_schedule_of("local").interval_seconds, publish_schedule_of("local").by_the_clock) == (5, False)
    assert (
        publish_schedule_of("cloudwatch://N").interval_seconds,
        publish_schedule_of("cloudwatch://N").by_the_clock,
    ) == (60, True)


def test_names_of_what_is_made_for_a_pool_are_plain() -> None:
    assert location_of("cloudwatch://My/Images.v1", "red").name == "My-Images-v1-red"
