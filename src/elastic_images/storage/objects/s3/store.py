"""Objects in a bucket of Amazon S3 or a compatible service."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from elastic_images.core.errors import Unavailable
from elastic_images.storage.crash_points import CrashPoint, no_crash
from elastic_images.storage.objects.object_store import (
    NAME,
    QUARANTINE,
    STORE_ID,
    ObjectInfo,
    ObjectMissing,
    StoredObject,
    StoreSeen,
    checked,
    new_name,
)
from elastic_images.storage.objects.s3.calls import BucketCalls, Deadlines, S3Service
from elastic_images.storage.objects.s3.dialect import S3Dialect
from elastic_images.storage.objects.s3.errors import (
    EXISTS,
    MISSING,
    NO_BUCKET,
    UNCONDITIONAL,
    UPLOAD_GONE,
    S3Error,
    as_ours,
    is_temporary,
)
from elastic_images.storage.objects.s3.open_object import S3Object
from elastic_images.storage.objects.s3.retries import Repeater
from elastic_images.storage.objects.s3.upload import S3Upload, pieces_of

_log = logging.getLogger(__name__)

PART_BYTES = 8 * 1024 * 1024
"""The size of parts in multipart uploads. Parts are held in memory; S3 requires 5 MiB or more, except for the last."""
_CHECK_SECONDS = 5.0
_PAGE = 1000


class S3ObjectStore:
    """An `ObjectStore` in `bucket`, under `prefix` (without slashes at its ends; may be empty).

    Objects of up to `part_bytes` are uploaded in one request, larger ones in parts. The service checks the SHA-256 of
    each and overwrites only for repairs. Calls that fail temporarily are retried until their deadline.
    """

    def __init__(
        self,
        service: S3Service,
        bucket: str,
        prefix: str = "",
        *,
        dialect: S3Dialect = S3Dialect(),  # noqa: B008 - frozen
        part_bytes: int = PART_BYTES,
        make_name: Callable[[], str] = new_name,
        crash_point: CrashPoint = no_crash,
        repeater: Repeater | None = None,
        deadlines: Deadlines | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls = BucketCalls(service, bucket, repeater or Repeater(is_temporary), deadlines or Deadlines())
        self._prefix = f"{prefix}/" if prefix else ""
        self._place = f"s3://{bucket}/{prefix}".rstrip("/")
        self._dialect = dialect
        self._part_bytes = part_bytes
        self._make_name = make_name
        self._crash_point = crash_point
        self._clock = clock
        self._write_proved = False
        self._checked_at: float | None = None

    def put(self, chunks: Iterable[bytes], name: str | None = None) -> StoredObject:
        """See `ObjectStore`. Holds at most two parts in memory."""
        if name is not None and not self._dialect.conditional and self.stat(name) is not None:
            raise Unavailable(f"The object store {self._place} already has an object {name}.")
        return self._put(chunks, self._make_name() if name is None else checked(name), replace=False)

    def replace(self, name: str, chunks: Iterable[bytes]) -> StoredObject:
        """See `ObjectStore`."""
        return self._put(chunks, checked(name), replace=True)

    def _put(self, chunks: Iterable[bytes], name: str, *, replace: bool) -> StoredObject:
        pieces = pieces_of(chunks, self._part_bytes)
        first, second = next(pieces, b""), next(pieces, None)
        self._crash_point("object-written")
        with self._errors("written"):
            upload = S3Upload(self._calls, self._dialect, name, self._key(name), replace=replace)
            stored = upload.whole(first) if second is None else upload.in_parts(chain((first, second), pieces))
        self._crash_point("object-renamed")
        return stored

    def quarantine(self, name: str) -> None:
        """See `ObjectStore`. A copy, then a deletion."""
        key = self._key(checked(name))
        with self._errors("written"):
            try:
                self._calls.copy(key, f"{self._prefix}{QUARANTINE}/{name}")
            except S3Error as error:
                if error.code not in MISSING:
                    raise
            else:
                self._calls.write("DeleteObject", Key=key)

    def open(self, name: str) -> S3Object:
        """See `ObjectStore`."""
        key = self._key(checked(name))
        with self._errors("read"):
            try:
                size_bytes, body = self._calls.repeat_read(lambda: self._calls.get(key))
            except S3Error as error:
                if error.code in MISSING:
                    raise ObjectMissing(name) from None
                raise
        return S3Object(
            size_bytes,
            body,
            fetch=lambda position: self._calls.get(key, position)[1],
            repeat=self._calls.repeat_read,
            errors=lambda: self._errors("read"),
        )

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        key = self._key(checked(name))
        with self._errors("written"):
            self._calls.write("DeleteObject", Key=key)

    def delete_many(self, names: Sequence[str]) -> None:
        """See `ObjectStore`. One request removes up to 1,000; one each where the service refuses that."""
        keys = [{"Key": self._key(checked(name))} for name in names]
        with self._errors("written"):
            for start in range(0, len(keys), _PAGE):
                batch = keys[start : start + _PAGE]
                try:
                    self._delete_batch(batch)
                except S3Error as error:
                    if not error.unsupported:
                        raise
                    for key in batch:
                        self._calls.write("DeleteObject", **key)

    def stat(self, name: str) -> ObjectInfo | None:
        """See `ObjectStore`."""
        key = self._key(checked(name))
        with self._errors("read"):
            try:
                answer = self._calls.read("HeadObject", Key=key)
            except S3Error as error:
                if error.code not in MISSING:
                    raise
                self._calls.read("HeadBucket")  # a 404 to HEAD may also mean that the bucket is missing
                return None
        return ObjectInfo(name, answer["ContentLength"], _seconds(answer["LastModified"]))

    def list(self, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """See `ObjectStore`. Skips keys that are not ours."""
        found: list[ObjectInfo] = []
        last: str | None = self._prefix + after
        with self._errors("read"):
            while last is not None and len(found) < limit:
                page = self._calls.read(
                    "ListObjectsV2", Prefix=self._prefix, StartAfter=last, MaxKeys=min(limit - len(found), _PAGE)
                )
                entries = page.get("Contents", [])
                ours = [(name, entry) for entry in entries if (name := self._name(entry["Key"]))]
                found += [ObjectInfo(name, entry["Size"], _seconds(entry["LastModified"])) for name, entry in ours]
                last = entries[-1]["Key"] if entries and page.get("IsTruncated") else None
        return found

    def partials(self) -> Iterator[ObjectInfo]:
        """See `ObjectStore`: the unfinished multipart uploads."""
        with self._errors("read"):
            found = [
                ObjectInfo(name, self._uploaded_bytes(upload), _seconds(upload["Initiated"]))
                for upload in self._uploads(self._prefix)
                if (name := self._name(upload["Key"]))
            ]
        yield from found

    def delete_partial(self, name: str) -> None:
        """See `ObjectStore`."""
        key = self._key(checked(name))
        with self._errors("written"):
            for upload in self._uploads(key):
                try:
                    self._calls.write("AbortMultipartUpload", Key=upload["Key"], UploadId=upload["UploadId"])
                except S3Error as error:
                    if error.code not in UPLOAD_GONE:
                        raise

    def check(self) -> None:
        """See `ObjectStore`. The first call writes and deletes an empty object; later ones only look for the bucket.

        The first one also raises Unavailable if the service ignores conditions, unless the store's URL allows that.

        A success is cached for 5 s.
        """
        if self._checked_at is not None and self._clock() < self._checked_at + _CHECK_SECONDS:
            return
        with self._errors("written"):
            self._calls.read("HeadBucket")
            if not self._write_proved:
                self._prove_write()
        self._checked_at = self._clock()

    def look(self) -> StoreSeen:
        """See `ObjectStore`."""
        with self._errors("read"):
            try:
                self._calls.read("HeadBucket")
            except S3Error as error:
                if error.code in (NO_BUCKET, "404"):
                    return StoreSeen(None, empty=True)
                raise
        return StoreSeen(self._read_id(), empty=not self.list(limit=1))

    def mark(self, store_id: str) -> None:
        """See `ObjectStore`."""
        with self._errors("written"):
            self._calls.write("PutObject", Key=self._prefix + STORE_ID, Body=store_id.encode())

    def pin(self, store_id: str) -> bool:
        """See `ObjectStore`. One request; there is nothing to hold on to, so ask again after each write."""
        return self._read_id() == store_id

    def _read_id(self) -> str | None:
        def read() -> bytes:
            _, body = self._calls.get(self._prefix + STORE_ID)
            try:
                return body.read()
            finally:
                body.close()

        with self._errors("read"):
            try:
                return self._calls.repeat_read(read).decode("ascii", "replace").strip()
            except S3Error as error:
                if error.code in MISSING or error.code == NO_BUCKET:
                    return None
                raise

    def _prove_write(self) -> None:
        key = f"{self._prefix}write-check-{new_name()}"  # its own: another process may be checking
        refused = False
        for _ in range(2 if self._dialect.conditional else 1):
            try:
                self._calls.write("PutObject", Key=key, Body=b"", **self._dialect.condition())
            except S3Error as error:
                if error.code not in EXISTS:
                    raise
                refused = True
                break
        self._calls.write("DeleteObject", Key=key)
        if self._dialect.conditional and not refused:
            raise Unavailable(f"The object store {self._place} {UNCONDITIONAL}.")
        self._write_proved = True

    def _delete_batch(self, keys: Sequence[dict[str, str]]) -> None:
        def attempt() -> None:
            errors = self._calls.once("DeleteObjects", Delete={"Objects": keys, "Quiet": True}).get("Errors", [])
            for error in errors:
                if error["Code"] not in MISSING:
                    raise S3Error(error["Code"], None, operation="DeleteObject")

        self._calls.repeat_write(attempt)

    def _uploads(self, prefix: str) -> Iterator[dict[str, Any]]:
        """All unfinished multipart uploads of keys with this prefix."""
        markers: dict[str, str] = {}
        while True:
            page = self._calls.read("ListMultipartUploads", Prefix=prefix, **markers)
            yield from page.get("Uploads", [])
            if not page.get("IsTruncated"):
                return
            markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _uploaded_bytes(self, upload: dict[str, Any]) -> int:
        """The bytes in its first 1,000 parts."""
        try:
            answer = self._calls.read("ListParts", Key=upload["Key"], UploadId=upload["UploadId"])
        except S3Error as error:
            if error.code in UPLOAD_GONE:
                return 0  # completed or aborted meanwhile
            raise
        return sum(part["Size"] for part in answer.get("Parts", []))

    def _key(self, name: str) -> str:
        return self._prefix + name

    def _name(self, key: str) -> str | None:
        name = key.removeprefix(self._prefix)
        return name if NAME.fullmatch(name) else None

    @contextlib.contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            _log.warning("object store %s cannot be %s: %s: %s", self._place, done, error.operation, error.code)
            # Without the cause: the library's messages may reveal more than callers should see.
            raise as_ours(error, self._place) from None


def _seconds(moment: Any) -> float:
    """Whole seconds: some services give finer times in listings than in an object's headers."""
    return float(int(moment.timestamp()))
