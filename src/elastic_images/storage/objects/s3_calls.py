"""Calls to an S3 service, made again where that may help, on one bucket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from elastic_images.storage.objects.repeating import Repeater
from elastic_images.storage.objects.s3_reading import Body

T = TypeVar("T")

READ_DEADLINE_SECONDS = 4.5
"""Below what the other apps wait for storage."""
WRITE_DEADLINE_SECONDS = 30.0


class S3Service(Protocol):
    """The service behind a store. Safe to share between threads."""

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One request, by the service's names: `call("GetObject", Bucket=..., Key=...)`. Raises Trouble."""

    def body(self, answer: dict[str, Any]) -> Body:
        """The bytes of a `GetObject` answer; reading them raises Trouble."""


class BucketCalls:
    """Calls on one bucket. Safe to share between threads; every method raises Trouble."""

    def __init__(self, service: S3Service, bucket: str, repeater: Repeater) -> None:
        self._service = service
        self._bucket = bucket
        self._repeater = repeater

    def once(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One request."""
        return self._service.call(operation, Bucket=self._bucket, **arguments)

    def read(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """A request somebody waits for, repeated for a few seconds."""
        return self.repeat(lambda: self.once(operation, **arguments))

    def write(
        self, operation: str, *, deadline_seconds: float = WRITE_DEADLINE_SECONDS, **arguments: Any
    ) -> dict[str, Any]:
        """A request that changes something, repeated for longer."""
        return self.repeat(lambda: self.once(operation, **arguments), deadline_seconds)

    def get(self, key: str, position: int = 0) -> tuple[int, Body]:
        """How many bytes follow from `position` on, and they themselves; one request."""
        span = {"Range": f"bytes={position}-"} if position else {}
        answer = self.once("GetObject", Key=key, **span)
        return answer["ContentLength"], self._service.body(answer)

    def repeat(self, call: Callable[[], T], deadline_seconds: float = READ_DEADLINE_SECONDS) -> T:
        """Run `call`, again where that may help."""
        return self._repeater.run(call, deadline_seconds)
