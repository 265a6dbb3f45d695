"""Opens the object store at a URL."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from elastic_images.core.errors import InvalidRequest
from elastic_images.storage.crash_points import CrashPoint, no_crash
from elastic_images.storage.objects.local import LocalObjectStore
from elastic_images.storage.objects.object_store import ObjectStore
from elastic_images.storage.objects.s3.dialect import S3Dialect

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()=-]+(/[A-Za-z0-9!_.*'()=-]+)*")


def open_object_store(url: str, *, crash_point: CrashPoint = no_crash, part_bytes: int | None = None) -> ObjectStore:
    """The object store at `url`: `file:///folder` or `s3://bucket/prefix`. Does not access it yet.

    Parameters of an S3 URL say what the service lacks (`s3/dialect.py`). `part_bytes` is for S3: larger objects are
    uploaded in parts of this size.

    Raises:
        InvalidRequest: the URL is invalid, or boto3 is not installed.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return _open_s3(parts, crash_point, part_bytes)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise InvalidRequest(
            "The object store must be a URL such as file:///var/lib/elastic-images/objects or s3://bucket/prefix."
        )
    return LocalObjectStore(Path(unquote(parts.path)), crash_point=crash_point)


def _open_s3(parts: SplitResult, crash_point: CrashPoint, part_bytes: int | None) -> ObjectStore:
    prefix = parts.path.strip("/")
    if wrong := _wrong_part(parts, prefix):
        raise InvalidRequest(f"An S3 object store must be a URL such as s3://bucket/prefix and nothing more: {wrong}")
    dialect = S3Dialect.parse(parts.query)
    from elastic_images.storage.objects.s3.boto import BotoS3Service
    from elastic_images.storage.objects.s3.store import PART_BYTES, S3ObjectStore

    return S3ObjectStore(
        BotoS3Service(md5=dialect.md5),
        parts.netloc,
        prefix,
        dialect=dialect,
        part_bytes=part_bytes or PART_BYTES,
        crash_point=crash_point,
    )


def below(url: str, folder: str) -> str:
    """The URL of a folder in the store at `url`, with the same parameters."""
    place, mark, query = url.partition("?")
    return f"{place.rstrip('/')}/{folder}{mark}{query}"


def _wrong_part(parts: SplitResult, prefix: str) -> str | None:
    if "@" in parts.netloc:
        return "it must not contain credentials; boto3 finds them in the environment, in ~/.aws or on the instance."
    if parts.fragment:
        return "it has a fragment (#)."
    if not _BUCKET.fullmatch(parts.netloc):
        return "the bucket's name must have 3 to 63 lowercase letters, digits, dots and hyphens."
    if prefix and not _PREFIX.fullmatch(prefix):
        return "the prefix may have letters, digits and !_.*'()=- between single slashes."
    if {".", ".."} & set(prefix.split("/")):
        return "the prefix must not have the segments . or .. ."
    return None
