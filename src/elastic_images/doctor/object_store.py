"""The object store: everything that is done with it is done once, with small objects that are removed again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from elastic_images.core.errors import ElasticImagesError
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding
from elastic_images.storage.objects.from_url import open_object_store
from elastic_images.storage.objects.object_store import ObjectMissing, ObjectStore

SKEW_SECONDS = 5.0
_AREA = "object store"
_BODY = b"elastic-images doctor"


def check_store(url: str, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Write, read, list, delete, parts, and the store's clock."""
    try:
        store = open_object_store(url, part_bytes=1)
        sending = open_object_store(url)
    except ElasticImagesError as error:
        yield Finding(_AREA, BAD, str(error), "set ELASTIC_IMAGES_OBJECT_STORE, or install what it needs")
        return
    parts = urlsplit(url)
    if parts.scheme == "file" and not Path(unquote(parts.path)).is_dir():
        yield Finding(_AREA, NOTE, f"{unquote(parts.path)} is not there yet: the first upload makes it")
        return
    made: list[str] = []
    steps: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("listed", "s3:ListBucket", lambda: store.list(limit=1)),
        ("written", "s3:PutObject", lambda: made.append(sending.put([_BODY]).name)),
        ("read", "s3:GetObject", lambda: _read(store, made)),
        ("written in parts, given up", "s3:PutObject, s3:AbortMultipartUpload", lambda: _give_up(store)),
        ("searched for parts", "s3:ListBucketMultipartUploads", lambda: list(store.partials())),
    )
    for done, permission, act in steps:
        yield _tried(url, done, permission, act)
    for name in made:
        yield from _clock(store, name, clock)
        yield _tried(url, "deleted from", "s3:DeleteObject", lambda name=name: store.delete_many([name]))  # type: ignore[misc]


def _tried(url: str, done: str, permission: str, act: Callable[[], object]) -> Finding:
    try:
        act()
    except (ElasticImagesError, ObjectMissing) as error:
        what = str(error) if isinstance(error, ElasticImagesError) else "what was written is not there"
        return Finding(_AREA, BAD, f"it cannot be {done}: {what}", _mend(url, what, permission))
    return Finding(_AREA, OK, f"it can be {done}")


def _mend(url: str, what: str, permission: str) -> str:
    if not url.startswith("s3:"):
        return "see to the folder's rights and to the disk's room"
    if "none were found" in what:
        return "give the machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if "does not accept the AWS credentials" in what:
        return "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or make new ones"
    if "no such bucket" in what:
        return "make the bucket, or correct ELASTIC_IMAGES_OBJECT_STORE"
    if "clock" in what:
        return "set this machine's clock by NTP"
    if "does not allow" in what:
        return f"allow {permission} to these credentials (docs/aws.md has the whole policy)"
    if "region" in what:
        return "set AWS_DEFAULT_REGION to the bucket's region"
    return "see that this machine reaches the service; AWS_ENDPOINT_URL_S3 names one that is not Amazon's"


def _read(store: ObjectStore, made: list[str]) -> None:
    for name in made:
        with store.open(name) as found:
            if found.read() != _BODY:
                raise ObjectMissing(name)


def _give_up(store: ObjectStore) -> None:
    """Begin an object of several parts, and stop in the middle of it."""

    def source() -> Iterator[bytes]:
        yield b"x" * 3
        raise _GivenUp

    try:
        store.put(source())
    except _GivenUp:
        return


def _clock(store: ObjectStore, name: str, clock: Callable[[], float]) -> Iterator[Finding]:
    """The store's clock by the time it gave to an object, which is of whole seconds."""
    try:
        info = store.stat(name)
    except ElasticImagesError:
        return  # told by the other steps
    skew = abs(clock() - info.created_at) if info is not None else 0.0
    if skew > SKEW_SECONDS:
        yield Finding("clocks", NOTE, f"the object store's differs by {skew:.0f} s", "set this machine's clock by NTP")
    else:
        yield Finding("clocks", OK, "the object store's is as this machine's")


class _GivenUp(Exception):
    pass
