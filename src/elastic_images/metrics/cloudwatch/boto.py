"""CloudWatch through boto3."""

from __future__ import annotations

from typing import Any

from elastic_images.aws.boto import BotoClients, Failure
from elastic_images.metrics.cloudwatch.errors import CloudWatchError

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 4.0


class BotoCloudWatchService:
    """A `CloudWatchService` through boto3.

    No connection is kept: calls are a minute apart, and a call on a connection that the service has closed would be
    lost.

    Raises:
        InvalidRequest: as `BotoClients`, or no region is set.
    """

    def __init__(self, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._clients = BotoClients(
            "Metrics in CloudWatch need",
            connect_seconds=CONNECT_SECONDS,
            answer_seconds=answer_seconds,
            tcp_keepalive=True,
        )
        self.region = self._clients.region()

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """See `CloudWatchService`."""

        def raised(failure: Failure) -> CloudWatchError:
            return CloudWatchError(
                failure.code.rpartition("#")[2],
                operation=operation,
                answered=failure.how in ("refused", "not tried"),
                perhaps_done=failure.how == "unanswered",
            )

        client = None
        try:
            with self._clients.errors(raised):
                client = self._clients.client("cloudwatch")
                return self._clients.send(client, operation, arguments)
        finally:
            if client is not None:
                client.close()  # closes its connections; the next call opens a new one

    def close(self) -> None:
        """See `CloudWatchService`."""
        self._clients.close()
