"""How an object gets into a bucket: whole or in parts, once, however often its requests are repeated."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from elastic_images.storage.objects.object_store import StoredObject
from elastic_images.storage.objects.s3.calls import BucketCalls
from elastic_images.storage.objects.s3.errors import EXISTS, UPLOAD_GONE, S3Error

_log = logging.getLogger(__name__)

_PROOF = "put"
"""The metadata of an object name the call that made it."""


class S3Upload:
    """One object on its way in. For one thread.

    The service refuses a name that is taken (`If-None-Match: *`). So a request whose answer was lost is refused when it
    is repeated, and the object's metadata tell whether it is there by this very upload or by another one.
    """

    def __init__(self, calls: BucketCalls, name: str, key: str) -> None:
        self._calls = calls
        self._name = name
        self._key = key
        self._proof = secrets.token_hex(8)

    def whole(self, body: bytes) -> StoredObject:
        """Send it in one request. Raises S3Error."""
        digest = hashlib.sha256(body)
        content: dict[str, Any] = {"Body": body, "ChecksumSHA256": base64_text(digest.digest())}
        with self._settling():
            self._calls.write("PutObject", Key=self._key, IfNoneMatch="*", Metadata={_PROOF: self._proof}, **content)
        return StoredObject(self._name, len(body), digest.hexdigest())

    def in_parts(self, pieces: Iterable[bytes]) -> StoredObject:
        """Send it piece by piece. Raises S3Error, and what `pieces` raises; its parts are removed then."""
        begun = self._calls.write(
            "CreateMultipartUpload", Key=self._key, ChecksumAlgorithm="SHA256", Metadata={_PROOF: self._proof}
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
                IfNoneMatch="*",
                MultipartUpload={"Parts": parts},
            )
        return StoredObject(self._name, size_bytes, digest.hexdigest())

    def _part(self, upload_id: str, number: int, piece: bytes) -> dict[str, Any]:
        content: dict[str, Any] = {"Body": piece, "ChecksumSHA256": base64_text(hashlib.sha256(piece).digest())}
        answer = self._calls.write("UploadPart", Key=self._key, UploadId=upload_id, PartNumber=number, **content)
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": content["ChecksumSHA256"]}

    @contextlib.contextmanager
    def _aborting(self, upload_id: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._tidy("AbortMultipartUpload", UploadId=upload_id)
            raise

    @contextlib.contextmanager
    def _settling(self) -> Iterator[None]:
        """S3Error that is none, because the object is there by this upload, ends here."""
        try:
            yield
        except S3Error as error:
            if error.code in EXISTS | UPLOAD_GONE:
                if self._is_mine():
                    return
            elif error.temporary:
                # Whether it is there is not known. Nobody will refer to it.
                self._tidy("DeleteObject")
            raise

    def _is_mine(self) -> bool:
        try:
            return bool(self._calls.read("HeadObject", Key=self._key)["Metadata"].get(_PROOF) == self._proof)
        except S3Error as error:
            _log.info("whether the object %s was stored cannot be seen: %s", self._name, error.code)
            return False

    def _tidy(self, operation: str, **arguments: str) -> None:
        """Behind a failure that is told anyway: what stays is seen by `fsck`, and parts by the collector."""
        try:
            self._calls.tidy(operation, Key=self._key, **arguments)
        except S3Error as error:
            if error.code not in UPLOAD_GONE:
                _log.info("what is left of the object %s may be there yet: %s", self._name, error.code)


def base64_text(digest: bytes) -> str:
    """A digest as S3's headers carry it."""
    return base64.b64encode(digest).decode()


def pieces_of(chunks: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    """The same bytes in pieces of `size_bytes`, the last one shorter; none for no bytes."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) > size_bytes:
            yield bytes(held[:size_bytes])
            del held[:size_bytes]
    if held:
        yield bytes(held)
