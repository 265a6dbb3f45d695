"""Calls on one S3 bucket, with retries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from elastic_images.storage.objects.s3.open_object import Body
from elastic_images.storage.objects.s3.retries import Repeater

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long calls are retried."""

    read_seconds: float = 4.5
    """Below the other apps' timeout for storage."""
    write_seconds: float = 12.0
    """Answers uploads within 30 s, a common client timeout."""
    tidy_seconds: float = 1.0
    """For cleaning up after a failure, before it is reported."""


class S3Service(Protocol):
    """An S3 service. Safe to share between threads."""

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Send one request: `call("GetObject", Bucket=..., Key=...)`. Raises S3Error."""

    def body(self, answer: dict[str, Any]) -> Body:
        """The body of a `GetObject` answer; reading it may raise S3Error."""


class BucketCalls:
    """Calls on one bucket. Safe to share between threads; every method raises S3Error."""

    def __init__(self, service: S3Service, bucket: str, repeater: Repeater, deadlines: Deadlines) -> None:
        self._service = service
        self._bucket = bucket
        self._repeater = repeater
        self._deadlines = deadlines

    def once(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Send one request, without retries."""
        return self._service.call(operation, Bucket=self._bucket, **arguments)

    def read(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Send a request that reads."""
        return self.repeat_read(lambda: self.once(operation, **arguments))

    def write(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Send a request that writes."""
        return self.repeat_write(lambda: self.once(operation, **arguments))

    def tidy(self, operation: str, **arguments: Any) -> None:
        """Send a request that cleans up after a failed write."""
        self._repeater.run(lambda: self.once(operation, **arguments), self._deadlines.tidy_seconds)

    def copy(self, key: str, target: str) -> None:
        """Copy an object of up to 5 GB within the bucket."""
        self.write("CopyObject", Key=target, CopySource={"Bucket": self._bucket, "Key": key})

    def get(self, key: str, position: int = 0) -> tuple[int, Body]:
        """The number of bytes from `position` on, and the bytes; one request."""
        span = {"Range": f"bytes={position}-"} if position else {}
        answer = self.once("GetObject", Key=key, **span)
        return answer["ContentLength"], self._service.body(answer)

    def repeat_read(self, call: Callable[[], T]) -> T:
        """Run `call` with the retries of `read`."""
        return self._repeater.run(call, self._deadlines.read_seconds)

    def repeat_write(self, call: Callable[[], T]) -> T:
        """Run `call` with the retries of `write`."""
        return self._repeater.run(call, self._deadlines.write_seconds)
