"""The only module here that knows boto3, imported when a service is made.

boto3 finds credentials, region and endpoint by itself: the environment (`AWS_ENDPOINT_URL_CLOUDWATCH` for a
service other than Amazon's), `~/.aws`, the instance's profile.
"""

from __future__ import annotations

import threading
from typing import Any

from elastic_images.aws.boto3_missing import boto3_missing
from elastic_images.aws.dead_proxy import code_of
from elastic_images.core.errors import InvalidRequest
from elastic_images.metrics.cloudwatch.errors import CloudWatchError

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 4.0


class BotoCloudWatchService:
    """A `CloudWatchService` through boto3. It looks for credentials and connects on the first call.

    Nothing is retried here. A CloudWatchError holds neither credentials nor messages of the library. No connection is
    kept: calls are a minute apart, and a call on a connection that the service has closed would be lost.

    Raises:
        InvalidRequest: boto3 is not installed, or no region is set; the message says what to do.
    """

    def __init__(self, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        try:
            import boto3
            from botocore import exceptions, parsers, xform_name
            from botocore.config import Config
        except ImportError:
            raise boto3_missing("Metrics in CloudWatch need") from None
        self._exceptions = exceptions
        self._unreadable = parsers.ResponseParserError
        self._method_name = xform_name
        self._config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=answer_seconds,
            tcp_keepalive=True,
            retries={"mode": "standard", "total_max_attempts": 1},
        )
        try:
            self._session = boto3.session.Session()
            region = self._session.region_name
        except exceptions.BotoCoreError as error:
            raise InvalidRequest(f"The settings for AWS cannot be used ({type(error).__name__}).") from None
        if not region:
            raise InvalidRequest("Metrics in CloudWatch need a region: set AWS_DEFAULT_REGION.")
        self.region: str = region
        self._lock = threading.Lock()
        self._client: Any = None

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """See `CloudWatchService`."""
        exceptions = self._exceptions
        client = None
        try:
            client = self._connected()
            answer: dict[str, Any] = getattr(client, self._method_name(operation))(**arguments)
        except exceptions.ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            code = str(error.response.get("Error", {}).get("Code") or status)
            raise CloudWatchError(code.rpartition("#")[2], operation=operation, answered=True) from None
        except exceptions.ConnectionError as error:  # never sent
            raise CloudWatchError(code_of(error), operation=operation, answered=False) from None
        except (exceptions.HTTPClientError, exceptions.IncompleteReadError, self._unreadable, OSError) as error:
            raise CloudWatchError(
                type(error).__name__, operation=operation, answered=False, perhaps_done=True
            ) from None
        except exceptions.BotoCoreError as error:
            raise CloudWatchError(type(error).__name__, operation=operation, answered=True) from None
        finally:
            if client is not None:
                client.close()  # closes its connections; the next call opens a new one
        return answer

    def close(self) -> None:
        """See `CloudWatchService`."""
        with self._lock:
            self._client = None

    def _connected(self) -> Any:
        # Clients are thread-safe, sessions are not.
        with self._lock:
            if self._client is None:
                self._client = self._session.client("cloudwatch", config=self._config)
            return self._client
