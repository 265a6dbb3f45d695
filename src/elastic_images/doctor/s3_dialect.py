"""Finds out what an S3 service lacks, by trying it on objects that are deleted again.

The error codes of such refusals differ from service to service, so trying the other way is the only sure test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit

from elastic_images.doctor.finding import BAD, NOTE, Finding
from elastic_images.storage.objects.object_store import new_name
from elastic_images.storage.objects.s3.boto import BotoS3Service
from elastic_images.storage.objects.s3.calls import BucketCalls, Deadlines
from elastic_images.storage.objects.s3.dialect import S3Dialect
from elastic_images.storage.objects.s3.errors import EXISTS, S3Error, is_temporary
from elastic_images.storage.objects.s3.retries import Repeater
from elastic_images.storage.objects.s3.upload import S3Upload

_AREA = "object store"
_UNCONDITIONAL = "conditional_writes=off"
_BODY = b"elastic-images doctor"
_DEADLINES = Deadlines(write_seconds=4.5)


def check_dialect(url: str) -> tuple[str, list[Finding]]:
    """The URL with the parameters that the service needs, and what it lacks. Leaves other failures to other checks."""
    parts = urlsplit(url)
    given = S3Dialect.parse(parts.query)
    trial = _Trial(parts.netloc, parts.path.strip("/"))
    lacking: list[tuple[str, str]] = []
    found, note = given, None
    with suppress(S3Error):
        found, refused = trial.checksums(given)
        if refused:
            lacking.append((f"refuses uploads with x-amz-checksum headers ({refused})", "checksums=md5"))
        if found.conditional and (unconditional := trial.conditions(found)):
            lacking.append((unconditional, _UNCONDITIONAL))
            found = replace(found, conditional=False)
        note = trial.batches(found)
    query = found.query()
    wanted = f"s3://{parts.netloc}{parts.path}{'?' if query else ''}{query}"
    findings = []
    for what, parameter in lacking:
        other = "use another service, or " if parameter == _UNCONDITIONAL else ""
        mend = f"{other}set ELASTIC_IMAGES_OBJECT_STORE='{wanted}' (docs/aws.md explains {parameter})"
        findings.append(Finding(_AREA, BAD, f"the service {what}", mend))
    return wanted, [*findings, *([note] if note else [])]


class _Trial:
    """Tries requests on a bucket. Its methods raise S3Error if something else is wrong."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._services = {md5: BotoS3Service(md5=md5) for md5 in (False, True)}

    def checksums(self, given: S3Dialect) -> tuple[S3Dialect, str | None]:
        """The dialect whose checksums are accepted; the code of the refusal if it is another one than was given."""
        refused = None
        with self._object() as key:
            for act in self._uploads(given, key, overwrite=True):
                refused = refused or _refusal(act)
        if refused is None or given.md5:
            return given, None
        other = replace(given, md5=True)
        with self._object() as key:
            for act in self._uploads(other, key, overwrite=True):
                act()
        return other, refused

    def conditions(self, dialect: S3Dialect) -> str | None:
        """What is wrong with the service's conditional writes."""
        with self._object() as key:
            self._upload(dialect, key, overwrite=True).whole(_BODY)
            for act in self._uploads(dialect, key, overwrite=False):
                try:
                    act()
                except S3Error as error:
                    if error.code in EXISTS:
                        continue
                    if not error.unsupported:
                        raise
                    return f"refuses uploads with If-None-Match ({error.code})"
                return "ignores If-None-Match: it overwrites objects although the request forbids it"
        return None

    def batches(self, dialect: S3Dialect) -> Finding | None:
        """Whether several objects can be deleted in one request."""
        refused = _refusal(lambda: self._delete_batch(dialect))
        if refused is None:
            return None
        what = f"the service refuses DeleteObjects ({refused}), so objects are deleted one by one, with a request each"
        other = replace(dialect, md5=True)
        if dialect.md5 or _refusal(lambda: self._delete_batch(other)) is not None:
            return Finding(_AREA, NOTE, what)
        return Finding(_AREA, NOTE, what, "add checksums=md5 to the URL, which makes it accept them (docs/aws.md)")

    @contextmanager
    def _object(self) -> Iterator[str]:
        key = self._prefix + new_name()
        try:
            yield key
        finally:
            with suppress(S3Error):
                self._calls(S3Dialect()).write("DeleteObject", Key=key)

    def _uploads(self, dialect: S3Dialect, key: str, *, overwrite: bool) -> tuple[Callable[[], object], ...]:
        """Uploading the object whole, and in one part."""
        upload = self._upload(dialect, key, overwrite=overwrite)
        return lambda: upload.whole(_BODY), lambda: upload.in_parts([_BODY])

    def _upload(self, dialect: S3Dialect, key: str, *, overwrite: bool) -> S3Upload:
        return S3Upload(self._calls(dialect), dialect, key.rpartition("/")[2], key, replace=overwrite)

    def _delete_batch(self, dialect: S3Dialect) -> None:
        objects = [{"Key": self._prefix + new_name()}]  # it is not there
        self._calls(dialect).write("DeleteObjects", Delete={"Objects": objects, "Quiet": True})

    def _calls(self, dialect: S3Dialect) -> BucketCalls:
        return BucketCalls(self._services[dialect.md5], self._bucket, Repeater(is_temporary), _DEADLINES)


def _refusal(act: Callable[[], object]) -> str | None:
    """The code with which the service refuses it as unsupported; None if it does it. Raises S3Error for the rest."""
    try:
        act()
    except S3Error as error:
        if error.unsupported:
            return error.code
        raise
    return None
