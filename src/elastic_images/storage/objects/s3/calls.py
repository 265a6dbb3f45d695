"""Calls to an S3 service, made again where that may help, on one bucket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from elastic_images.storage.objects.s3.open_object import Body
from elastic_images.storage.objects.s3.retries import Repeater

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """For how long a call is begun again."""

    read_seconds: float = 4.5
    """Below what the other apps wait for storage."""
    write_seconds: float = 12.0
    """So that an upload is answered within 30 s, as most who upload will wait."""
    tidy_seconds: float = 1.0
    """For what is done behind a failure, before it is told."""


class S3Service(Protocol):
    """The service behind a store. Safe to share between threads."""

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One request, by the service's names: `call("GetObject", Bucket=..., Key=...)`. Raises S3Error."""

    def body(self, answer: dict[str, Any]) -> Body:
        """The bytes of a `GetObject` answer; reading them raises S3Error."""


class BucketCalls:
    """Calls on one bucket. Safe to share between threads; every method raises S3Error."""

    def __init__(self, service: S3Service, bucket: str, repeater: Repeater, deadlines: Deadlines) -> None:
        self._service = service
        self._bucket = bucket
        self._repeater = repeater
        self._deadlines = deadlines

    def once(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One request."""
        return self._service.call(operation, Bucket=self._bucket, **arguments)

    def read(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """A request that somebody waits for."""
        return self.repeat_read(lambda: self.once(operation, **arguments))

    def write(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """A request that changes something."""
        return self.repeat_write(lambda: self.once(operation, **arguments))

    def tidy(self, operation: str, **arguments: Any) -> None:
        """A request that removes what a failed write left."""
        self._repeater.run(lambda: self.once(operation, **arguments), self._deadlines.tidy_seconds)

    def get(self, key: str, position: int = 0) -> tuple[int, Body]:
        """How many bytes follow from `position` on, and they themselves; one request."""
        span = {"Range": f"bytes={position}-"} if position else {}
        answer = self.once("GetObject", Key=key, **span)
        return answer["ContentLength"], self._service.body(answer)

    def repeat_read(self, call: Callable[[], T]) -> T:
        """Run `call`, again where that may help, as `read` does."""
        return self._repeater.run(call, self._deadlines.read_seconds)

    def repeat_write(self, call: Callable[[], T]) -> T:
        """Run `call`, again where that may help, as `write` does."""
        return self._repeater.run(call, self._deadlines.write_seconds)
