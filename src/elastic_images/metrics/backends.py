"""The metrics setting picks where samples go and where they are read, here and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from elastic_images.core.errors import InvalidRequest
from elastic_images.internal_http import InternalHttp
from elastic_images.metrics.store import MetricSink, MetricStore

LOCAL_FILE = "metrics.sqlite3"


def open_metric_sink(setting: str, http: InternalHttp, autoscaler_url: str) -> MetricSink:
    """Where a node or web process publishes.

    Raises:
        InvalidRequest: a setting that means nothing, or is not supported yet.
    """
    _check(setting)
    from elastic_images.metrics.remote import HttpMetricSink

    return HttpMetricSink(http, autoscaler_url)


def open_metric_store(setting: str, data: Path, clock: Callable[[], float] = time.time) -> MetricStore:
    """What the autoscaler asks; with `local` it is a file in the data folder, which it alone opens.

    Raises:
        InvalidRequest: as `open_metric_sink`.
        Unavailable, OutOfSpace: the file cannot be opened or made.
    """
    _check(setting)
    from elastic_images.metrics.local import LocalMetricStore

    return LocalMetricStore(data / LOCAL_FILE, clock)


def _check(setting: str) -> None:
    if setting == "local":
        return
    if setting.startswith("cloudwatch://"):
        raise InvalidRequest("Metrics in CloudWatch are not supported yet: set metrics to local.")
    raise InvalidRequest("The metrics setting is local or cloudwatch://NAMESPACE.")
