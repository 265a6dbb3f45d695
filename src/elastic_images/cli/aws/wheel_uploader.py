"""Uploads wheels to a bucket, and skips those that are already there."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elastic_images.cli.aws.wheels import SUMS
from elastic_images.core.errors import InvalidRequest
from elastic_images.storage.objects.s3.calls import S3Service
from elastic_images.storage.objects.s3.errors import MISSING, S3Error, as_ours, is_temporary
from elastic_images.storage.objects.s3.retries import Repeater

_DEADLINE_SECONDS = 60.0


@dataclass(slots=True)
class Pushed:
    """How many files were uploaded, kept and removed."""

    uploaded: int = 0
    kept: int = 0
    removed: int = 0


class WheelUploader:
    """Uploads files below `s3://bucket/prefix`. Raises Unavailable if the service fails."""

    def __init__(self, service: S3Service, place: str) -> None:
        scheme, _, rest = place.partition("://")
        self._bucket, _, prefix = rest.strip("/").partition("/")
        if scheme != "s3" or not self._bucket:
            raise InvalidRequest(f"Wheels go to s3://BUCKET/PREFIX, not {place}.")
        self._prefix = f"{prefix}/" if prefix else ""
        self._service = service
        self._place = place
        self._repeater = Repeater(is_temporary)

    def push(self, files: list[Path], sums: Path, progress: Callable[[int], None]) -> Pushed:
        """Upload what is missing, the checksums last; then remove the files they do not list."""
        pushed = Pushed()
        for path in [*files, sums]:
            body = path.read_bytes()
            if self._has(path.name, body):
                pushed.kept += 1
            else:
                self._put(path.name, body)
                pushed.uploaded += 1
            progress(len(body))
        for name in self._names() - {path.name for path in files} - {SUMS}:
            self._call("DeleteObject", Key=self._prefix + name)
            pushed.removed += 1
        return pushed

    def _has(self, name: str, body: bytes) -> bool:
        try:
            found = self._repeated("HeadObject", Key=self._prefix + name)
        except S3Error as trouble:
            if trouble.code in MISSING:
                return False
            raise as_ours(trouble, self._place) from None
        return bool(found.get("Metadata", {}).get("sha256") == hashlib.sha256(body).hexdigest())

    def _put(self, name: str, body: bytes) -> None:
        digest = hashlib.sha256(body)
        self._call(
            "PutObject",
            Key=self._prefix + name,
            Body=body,
            Metadata={"sha256": digest.hexdigest()},
            ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
        )

    def _names(self) -> set[str]:
        """The files directly below the prefix."""
        answer = self._call("ListObjectsV2", Prefix=self._prefix, Delimiter="/")
        return {str(one["Key"]).removeprefix(self._prefix) for one in answer.get("Contents", ())}

    def _call(self, operation: str, **arguments: object) -> dict[str, Any]:
        try:
            return self._repeated(operation, **arguments)
        except S3Error as trouble:
            raise as_ours(trouble, self._place) from None

    def _repeated(self, operation: str, **arguments: object) -> dict[str, Any]:
        return self._repeater.run(
            lambda: self._service.call(operation, Bucket=self._bucket, **arguments), _DEADLINE_SECONDS
        )
