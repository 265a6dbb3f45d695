"""Checks CloudWatch, if metrics are kept there: write and read access, and its clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from elastic_images.core.errors import ElasticImagesError
from elastic_images.doctor.aws_advice import aws_advice
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding, compare_clocks
from elastic_images.metrics.cloudwatch.errors import CloudWatchError, as_ours
from elastic_images.metrics.cloudwatch.figures import DOCTOR, HITS, MINUTE_SECONDS, WEB, datum
from elastic_images.metrics.cloudwatch.location import Location, is_cloudwatch, location_of
from elastic_images.metrics.cloudwatch.reader import CloudWatchService, FigureReader, Query

SKEW_SECONDS = 5.0
"""CloudWatch reports whole seconds."""
_AREA = "metrics"


def check_metrics(setting: str, pool: str, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Publish a metric that nothing reads, query another, and compare the clocks. Does nothing with `local`.

    CloudWatch cannot delete a metric, but expires this one by itself.
    """
    if not is_cloudwatch(setting):
        return
    try:
        location = location_of(setting, pool)
        from elastic_images.metrics.cloudwatch.boto import BotoCloudWatchService

        service = BotoCloudWatchService()
    except ElasticImagesError as error:
        yield Finding(
            _AREA, BAD, str(error), "correct ELASTIC_IMAGES_METRICS or the region, or install what is missing"
        )
        return
    try:
        yield from _put(service, location, clock)
        yield _read(service, location, clock())
    finally:
        service.close()


def _put(service: CloudWatchService, location: Location, clock: Callable[[], float]) -> Iterator[Finding]:
    data = [datum(DOCTOR, location.dimensions(None), int(clock()), 1)]
    try:
        answer = service.call("PutMetricData", Namespace=location.namespace, MetricData=data)
    except CloudWatchError as trouble:
        yield _bad("written", str(as_ours(trouble)), "PutMetricData")
        return
    yield Finding(_AREA, OK, f"CloudWatch accepts metrics: namespace {location.namespace}, pool {location.pool}")
    time_there = _moment_of(answer)
    if time_there is not None:
        yield compare_clocks("CloudWatch's", abs(time_there.timestamp() - clock()), SKEW_SECONDS)


def _read(service: CloudWatchService, location: Location, now: float) -> Finding:
    end = int(now // MINUTE_SECONDS) * MINUTE_SECONDS
    try:
        found = FigureReader(service, location).read([Query(HITS, WEB, "Sum")], end - 600, end, MINUTE_SECONDS)
    except ElasticImagesError as error:
        return _bad("read", str(error), "GetMetricData")
    if not found[Query(HITS, WEB, "Sum")]:
        return Finding(_AREA, NOTE, "metrics can be read; no web process has reported in the last ten minutes")
    return Finding(_AREA, OK, "metrics can be read, and web processes report")


def _moment_of(answer: dict[str, Any]) -> datetime | None:
    """The service's time when it answered."""
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bad(done: str, what: str, permission: str) -> Finding:
    advice = aws_advice(what, f"cloudwatch:{permission}")
    mend = advice or "check that this machine can reach CloudWatch in AWS_DEFAULT_REGION"
    return Finding(_AREA, BAD, f"metrics cannot be {done}: {what}", mend)
