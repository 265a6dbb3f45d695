"""Publishes to the autoscaler, which stores the metrics of all processes."""

from __future__ import annotations

from collections.abc import Sequence

from elastic_images.http.internal_client import InternalClient
from elastic_images.metrics.sample import Sample, batch_to_json


class HttpMetricSink:
    """A `MetricSink` that sends to the autoscaler's `POST /internal/metrics`. Safe to share between threads."""

    def __init__(self, http: InternalClient, autoscaler_url: str, *, timeout_seconds: float = 2.0) -> None:
        self._http = http
        self._url = f"{autoscaler_url.rstrip('/')}/internal/metrics"
        self._timeout_seconds = timeout_seconds

    def publish(self, samples: Sequence[Sample]) -> None:
        """Send the samples in one request (see `MetricSink.publish`)."""
        self._http.request("POST", self._url, json=batch_to_json(samples), timeout_seconds=self._timeout_seconds)
