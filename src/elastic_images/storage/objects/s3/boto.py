"""S3 through boto3."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from typing import Any

from elastic_images.aws.boto import BotoClients, Failure
from elastic_images.storage.objects.s3.errors import S3Error
from elastic_images.storage.objects.s3.open_object import Body

CONNECTIONS = 64
_CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0


class BotoS3Service:
    """An `S3Service` through boto3.

    Args:
        answer_seconds: read timeout.
        md5: DeleteObjects carries `Content-MD5` in place of the newer checksum headers, which some services refuse.

    Raises:
        InvalidRequest: as `BotoClients`.
    """

    def __init__(self, *, answer_seconds: float = ANSWER_SECONDS, md5: bool = False) -> None:
        self._clients = BotoClients(
            "An object store on S3 needs",
            connect_seconds=_CONNECT_SECONDS,
            answer_seconds=answer_seconds,
            max_pool_connections=CONNECTIONS,
            tcp_keepalive=True,
            # Our uploads carry a SHA-256; a second checksum would only cost time.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._md5 = md5

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """See `S3Service`."""
        with self.errors(operation):
            return self._clients.send(self._clients.client("s3", self._prepare), operation, arguments)

    def body(self, answer: dict[str, Any]) -> Body:
        """See `S3Service`."""
        return _Body(answer["Body"], self)

    def errors(self, operation: str) -> contextlib.AbstractContextManager[None]:
        """Raise the library's errors as S3Error."""

        def raised(failure: Failure) -> S3Error:
            lost = failure.how in ("unsent", "unanswered")
            return S3Error(failure.code, failure.status, operation=operation, connection=lost)

        return self._clients.errors(raised)

    def _prepare(self, client: Any) -> None:
        if self._md5:
            client.meta.events.register("before-sign.s3.DeleteObjects", _with_md5)


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
