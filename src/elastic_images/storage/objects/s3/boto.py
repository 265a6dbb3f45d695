"""The only module here that knows boto3, imported when a service is made.

boto3 finds credentials, region and endpoint by itself: the environment (`AWS_ENDPOINT_URL_S3` for a service
other than Amazon's), `~/.aws`, the instance's profile.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from elastic_images.aws.boto3_missing import boto3_missing
from elastic_images.aws.dead_proxy import code_of
from elastic_images.storage.objects.s3.errors import S3Error
from elastic_images.storage.objects.s3.open_object import Body

CONNECTIONS = 64
_CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0


class BotoS3Service:
    """An `S3Service` through boto3. It looks for credentials and connects on the first call.

    Nothing is retried here. An S3Error holds neither credentials nor messages of the library.

    Args:
        answer_seconds: read timeout.
        md5: DeleteObjects carries `Content-MD5` in place of the newer checksum headers, which some services refuse.

    Raises:
        InvalidRequest: boto3 is not installed; the message says how to install it.
    """

    def __init__(self, *, answer_seconds: float = ANSWER_SECONDS, md5: bool = False) -> None:
        try:
            import boto3
            from botocore import exceptions, parsers, xform_name
            from botocore.config import Config
        except ImportError:
            raise boto3_missing("An object store on S3 needs") from None
        self._session_class = boto3.session.Session
        self._config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=answer_seconds,
            max_pool_connections=CONNECTIONS,
            tcp_keepalive=True,
            retries={"mode": "standard", "total_max_attempts": 1},
            # Our uploads carry a SHA-256; a second checksum would only cost time.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._method_name = xform_name
        self._refused = exceptions.ClientError
        self._unsafe = exceptions.SSLError
        self._broken = (
            exceptions.HTTPClientError,
            exceptions.ConnectionError,
            exceptions.IncompleteReadError,
            parsers.ResponseParserError,
            OSError,
        )
        self._failed = exceptions.BotoCoreError
        self._md5 = md5
        self._lock = threading.Lock()
        self._client: Any = None

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """See `S3Service`."""
        with self.errors(operation):
            answer: dict[str, Any] = getattr(self._connected(), self._method_name(operation))(**arguments)
        return answer

    def body(self, answer: dict[str, Any]) -> Body:
        """See `S3Service`."""
        return _Body(answer["Body"], self)

    @contextlib.contextmanager
    def errors(self, operation: str) -> Iterator[None]:
        """Raise the library's errors as S3Error."""
        try:
            yield
        except self._refused as error:
            answer = error.response
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
            raise S3Error(str(answer.get("Error", {}).get("Code", status)), status, operation=operation) from None
        except self._unsafe as error:
            raise S3Error(type(error).__name__, None, operation=operation) from None
        except self._broken as error:
            raise S3Error(code_of(error), None, operation=operation, connection=True) from None
        except self._failed as error:
            raise S3Error(type(error).__name__, None, operation=operation) from None

    def _connected(self) -> Any:
        # Clients are thread-safe, sessions are not.
        with self._lock:
            if self._client is None:
                self._client = self._session_class().client("s3", config=self._config)
                if self._md5:
                    self._client.meta.events.register("before-sign.s3.DeleteObjects", _with_md5)
                # Stores are not closed by hand; without this their connections would wait for the garbage collector.
                weakref.finalize(self, self._client.close)
            return self._client


def _with_md5(request: Any, **_: Any) -> None:
    """The library always adds one of the newer checksums to DeleteObjects."""
    for name in [name for name in request.headers if name.lower().startswith(("x-amz-checksum", "x-amz-sdk-checksum"))]:
        del request.headers[name]
    digest = hashlib.md5(request.data, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()


class _Body:
    """A response body that raises S3Error."""

    def __init__(self, stream: Any, service: BotoS3Service) -> None:
        self._stream = stream
        self._service = service

    def read(self, amt: int | None = None) -> bytes:
        with self._service.errors("GetObject"):
            found: bytes = self._stream.read(amt)
        return found

    def close(self) -> None:
        self._stream.close()
