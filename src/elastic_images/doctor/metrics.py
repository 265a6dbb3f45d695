"""Where figures are kept: whether they can be put into CloudWatch and read from it, and its clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from elastic_images.core.errors import ElasticImagesError
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding
from elastic_images.metrics.cloudwatch.errors import Trouble, as_ours
from elastic_images.metrics.cloudwatch.figures import DOCTOR, HITS, MINUTE_SECONDS, WEB, datum
from elastic_images.metrics.cloudwatch.location import Location, is_cloudwatch, location_of
from elastic_images.metrics.cloudwatch.reader import CloudWatchService, FigureReader, Query

SKEW_SECONDS = 5.0
"""CloudWatch tells whole seconds."""
_AREA = "metrics"


def check_metrics(setting: str, pool: str, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Put a figure that nothing reads, ask for one, compare the clocks. Nothing to look at with `local`.

    CloudWatch has no way to delete a figure; it forgets this one by itself.
    """
    if not is_cloudwatch(setting):
        return
    try:
        location = location_of(setting, pool)
        from elastic_images.metrics.cloudwatch.boto import BotoCloudWatchService

        service = BotoCloudWatchService()
    except ElasticImagesError as error:
        yield Finding(_AREA, BAD, str(error), "correct ELASTIC_IMAGES_METRICS, the region, or install what it needs")
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
    except Trouble as trouble:
        yield _bad("put there", str(as_ours(trouble)), "PutMetricData")
        return
    yield Finding(_AREA, OK, f"CloudWatch accepts metrics: namespace {location.namespace}, pool {location.pool}")
    told = _moment_of(answer)
    skew = 0.0 if told is None else abs(told.timestamp() - clock())
    if skew > SKEW_SECONDS:
        yield Finding("clocks", NOTE, f"CloudWatch's differs by {skew:.0f} s", "set this machine's clock by NTP")
    elif told is not None:
        yield Finding("clocks", OK, "CloudWatch's is as this machine's")


def _read(service: CloudWatchService, location: Location, now: float) -> Finding:
    end = int(now // MINUTE_SECONDS) * MINUTE_SECONDS
    try:
        found = FigureReader(service, location).read([Query(HITS, WEB, "Sum")], end - 600, end, MINUTE_SECONDS)
    except ElasticImagesError as error:
        return _bad("read there", str(error), "GetMetricData")
    if not found[Query(HITS, WEB, "Sum")]:
        return Finding(_AREA, NOTE, "figures can be read there; no web process has reported in the last ten minutes")
    return Finding(_AREA, OK, "figures can be read there, and web processes report")


def _moment_of(answer: dict[str, Any]) -> datetime | None:
    """When the service answered, by its own clock."""
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bad(done: str, what: str, permission: str) -> Finding:
    return Finding(_AREA, BAD, f"figures cannot be {done}: {what}", _mend(what, permission))


def _mend(what: str, permission: str) -> str:
    if "none were found" in what:
        return "give the machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if "does not accept the AWS credentials" in what:
        return "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or make new ones"
    if "clock" in what:
        return "set this machine's clock by NTP"
    if "does not allow" in what:
        return f"allow cloudwatch:{permission} to these credentials (docs/aws.md has the whole policy)"
    return "see that this machine reaches the service in AWS_DEFAULT_REGION"
