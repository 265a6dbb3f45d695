from __future__ import annotations

from pathlib import Path

import pytest

from elastic_images.core.errors import InvalidRequest, Unavailable
from elastic_images.internal_http import InternalHttp
from elastic_images.metrics.backends import open_metric_sink, open_metric_store
from elastic_images.metrics.local import LocalMetricStore
from elastic_images.metrics.remote import HttpMetricSink


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("cloudwatch://Mine", "Metrics in CloudWatch are not supported yet: set metrics to local."),
        ("file:///tmp", "The metrics setting is local or cloudwatch://NAMESPACE."),
    ],
)
def test_other_settings_are_refused(setting: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=message):
        open_metric_store(setting, tmp_path)
    with pytest.raises(InvalidRequest, match=message):
        open_metric_sink(setting, InternalHttp("token"), "http://127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


def test_local_is_a_file_for_the_autoscaler_and_http_for_the_others(tmp_path: Path) -> None:
    store = open_metric_store("local", tmp_path)
    store.close()
    assert isinstance(store, LocalMetricStore)
    assert (tmp_path / "metrics.sqlite3").exists()
    assert isinstance(open_metric_sink("local", InternalHttp("token"), "http://127.0.0.1:1"), HttpMetricSink)


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="The metrics file cannot be used"):
        open_metric_store("local", tmp_path / "missing")
