"""Uploads an object to a bucket, whole or in parts, exactly once even if requests are retried."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from elastic_images.storage.objects.object_store import StoredObject
from elastic_images.storage.objects.s3.calls import BucketCalls
from elastic_images.storage.objects.s3.dialect import S3Dialect
from elastic_images.storage.objects.s3.errors import EXISTS, UPLOAD_GONE, S3Error

_log = logging.getLogger(__name__)

_PROOF = "put"
"""The metadata field that identifies the upload which made an object."""


class S3Upload:
    """The upload of one object. For one thread.

    The service refuses to overwrite (`If-None-Match: *`), except with `replace`. So if an answer was lost, the retry is
    refused, and the object's metadata tell whether this upload made it or another one. A service without conditional
    writes takes the same bytes once more.
    """

    def __init__(self, calls: BucketCalls, dialect: S3Dialect, name: str, key: str, *, replace: bool = False) -> None:
        self._replace = replace
        self._dialect = dialect
        self._condition = {} if replace else dialect.condition()
        self._calls = calls
        self._name = name
        self._key = key
        self._proof = secrets.token_hex(8)

    def whole(self, body: bytes) -> StoredObject:
        """Upload it in one request. Raises S3Error."""
        digest = hashlib.sha256(body)
        content: dict[str, Any] = {"Body": body, **self._dialect.checksum(body, digest.digest())}
        with self._settling():
            self._calls.write("PutObject", Key=self._key, Metadata={_PROOF: self._proof}, **self._condition, **content)
        return StoredObject(self._name, len(body), digest.hexdigest())

    def in_parts(self, pieces: Iterable[bytes]) -> StoredObject:
        """Upload it in parts. Raises S3Error, and what `pieces` raises, after removing the parts."""
        begun = self._calls.write(
            "CreateMultipartUpload", Key=self._key, Metadata={_PROOF: self._proof}, **self._dialect.algorithm()
        )
        digest, size_bytes, parts = hashlib.sha256(), 0, []
        with self._settling(), self._aborting(begun["UploadId"]):
            for number, piece in enumerate(pieces, 1):
                digest.update(piece)
                size_bytes += len(piece)
                parts.append(self._part(begun["UploadId"], number, piece))
            self._calls.write(
                "CompleteMultipartUpload",
                Key=self._key,
                UploadId=begun["UploadId"],
                MultipartUpload={"Parts": parts},
                **self._condition,
            )
        return StoredObject(self._name, size_bytes, digest.hexdigest())

    def _part(self, upload_id: str, number: int, piece: bytes) -> dict[str, Any]:
        sent = self._dialect.checksum(piece, hashlib.sha256(piece).digest())
        content: dict[str, Any] = {"Body": piece, **sent}
        answer = self._calls.write("UploadPart", Key=self._key, UploadId=upload_id, PartNumber=number, **content)
        return self._dialect.part(number, answer["ETag"], sent)

    @contextlib.contextmanager
    def _aborting(self, upload_id: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._tidy("AbortMultipartUpload", UploadId=upload_id)
            raise

    @contextlib.contextmanager
    def _settling(self) -> Iterator[None]:
        """Suppress errors of an upload that succeeded after all."""
        try:
            yield
        except S3Error as error:
            if error.code in EXISTS | UPLOAD_GONE:
                if self._is_mine():
                    return
            elif error.temporary and not self._replace:
                # The object may exist, but nothing will refer to it.
                self._tidy("DeleteObject")
            raise

    def _is_mine(self) -> bool:
        try:
            return bool(self._calls.read("HeadObject", Key=self._key)["Metadata"].get(_PROOF) == self._proof)
        except S3Error as error:
            _log.info("cannot tell whether object %s was stored: %s", self._name, error.code)
            return False

    def _tidy(self, operation: str, **arguments: str) -> None:
        """Clean up after a failure, if possible: `fsck` finds what stays, and the collector removes parts."""
        try:
            self._calls.tidy(operation, Key=self._key, **arguments)
        except S3Error as error:
            if error.code not in UPLOAD_GONE:
                _log.info("remains of object %s could not be removed: %s", self._name, error.code)


def pieces_of(chunks: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    """Regroup the bytes into pieces of `size_bytes`; the last one may be shorter."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) > size_bytes:
            yield bytes(held[:size_bytes])
            del held[:size_bytes]
    if held:
        yield bytes(held)
