"""Opens the metric sink and store that the setting names. The only place that knows all backends."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from elastic_images.core.errors import InvalidRequest
from elastic_images.http.internal_client import InternalClient
from elastic_images.metrics.cloudwatch.location import is_cloudwatch, location_of
from elastic_images.metrics.publish_schedule import EACH_MINUTE, EVERY_FIVE_SECONDS, PublishSchedule
from elastic_images.metrics.store import MetricSink, MetricStore

LOCAL_FILE = "metrics.sqlite3"


def open_metric_sink(setting: str, http: InternalClient, autoscaler_url: str, *, pool: str) -> MetricSink:
    """The sink to which a node or web process publishes.

    Raises:
        InvalidRequest: an invalid setting, or a package that it needs is not installed.
    """
    if is_cloudwatch(setting):
        return _open_cloudwatch(setting, pool, time.time)
    _check_local(setting)
    from elastic_images.metrics.http_sink import HttpMetricSink

    return HttpMetricSink(http, autoscaler_url)


def publish_schedule_of(setting: str) -> PublishSchedule:
    """How often a process publishes. Calls to CloudWatch cost money, so there it is once a minute."""
    return EACH_MINUTE if is_cloudwatch(setting) else EVERY_FIVE_SECONDS


def open_metric_store(setting: str, data: Path, clock: Callable[[], float] = time.time, *, pool: str) -> MetricStore:
    """The store that the autoscaler queries. With `local`, a file in the data folder that only the autoscaler opens.

    Raises:
        InvalidRequest: as `open_metric_sink`.
        Unavailable, OutOfSpace: the file cannot be opened or created.
    """
    if is_cloudwatch(setting):
        return _open_cloudwatch(setting, pool, clock)
    _check_local(setting)
    from elastic_images.metrics.local.store import LocalMetricStore

    return LocalMetricStore(data / LOCAL_FILE, clock)


def _open_cloudwatch(setting: str, pool: str, clock: Callable[[], float]) -> MetricStore:
    location = location_of(setting, pool)
    from elastic_images.metrics.cloudwatch.boto import BotoCloudWatchService
    from elastic_images.metrics.cloudwatch.reader import FigureReader
    from elastic_images.metrics.cloudwatch.store import CloudWatchMetricStore

    service = BotoCloudWatchService()
    return CloudWatchMetricStore(service, location, FigureReader(service, location), clock=clock)


def _check_local(setting: str) -> None:
    if setting != "local":
        raise InvalidRequest("The metrics setting must be local or cloudwatch://NAMESPACE.")
