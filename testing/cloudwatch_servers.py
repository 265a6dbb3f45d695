"""CloudWatch for tests: moto's server, which supports statistic sets and explicit queries, without any delay."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from testing.object_servers import WRITER, moto

REGION = "eu-central-1"


@dataclass(frozen=True, slots=True)
class CloudWatchServer:
    """A running server."""

    url: str

    def environment(self, url: str | None = None) -> dict[str, str]:
        """Makes boto3 use this server, or the proxy at `url`, and ignore the developer's own configuration."""
        return {
            "AWS_ENDPOINT_URL_CLOUDWATCH": url or self.url,
            "AWS_ACCESS_KEY_ID": WRITER[0],
            "AWS_SECRET_ACCESS_KEY": WRITER[1],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self) -> Any:
        """A boto3 client, to inspect the server directly. The caller closes it."""
        import boto3

        return boto3.session.Session().client(
            "cloudwatch",
            endpoint_url=self.url,
            aws_access_key_id=WRITER[0],
            aws_secret_access_key=WRITER[1],
            region_name=REGION,
        )

    def series(self) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        """Every series: its name and its dimensions."""
        with contextlib.closing(self.client()) as client:
            return {
                (metric["MetricName"], tuple(sorted((one["Name"], one["Value"]) for one in metric["Dimensions"])))
                for page in client.get_paginator("list_metrics").paginate()
                for metric in page["Metrics"]
            }


@contextlib.contextmanager
def cloudwatch() -> Iterator[CloudWatchServer]:
    """A server for this block alone."""
    with moto() as server:
        yield CloudWatchServer(server.url)


def fresh_pool() -> str:
    """A pool that has no figures yet. (moto tells series apart by their dimensions, not by their namespace.)"""
    return f"pool-{uuid.uuid4().hex[:12]}"
