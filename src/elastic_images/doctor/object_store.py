"""Checks the object store by trying each operation once, with small objects that are deleted again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from elastic_images.core.errors import ElasticImagesError
from elastic_images.database.explained import explained_engine
from elastic_images.database.migrate import revision_of
from elastic_images.database.sqlite_file import file_of
from elastic_images.doctor.aws_advice import aws_advice
from elastic_images.doctor.finding import BAD, NOTE, OK, Finding, compare_clocks
from elastic_images.storage.objects.from_url import open_object_store
from elastic_images.storage.objects.guarded import MEND
from elastic_images.storage.objects.object_store import ObjectMissing, ObjectStore
from elastic_images.storage.upkeep.adoption import standing

SKEW_SECONDS = 5.0
_AREA = "object store"
_BODY = b"elastic-images doctor"


def check_store(url: str, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Try to list, write, read, delete and abort a multipart upload, and compare the clocks."""
    try:
        store = open_object_store(url, part_bytes=1)
        sending = open_object_store(url)
    except ElasticImagesError as error:
        yield Finding(_AREA, BAD, str(error), "correct ELASTIC_IMAGES_OBJECT_STORE, or install the missing package")
        return
    parts = urlsplit(url)
    if parts.scheme == "file" and not Path(unquote(parts.path)).is_dir():
        yield Finding(_AREA, NOTE, f"{unquote(parts.path)} does not exist yet: the first start creates it")
        return
    made: list[str] = []
    listed = _tried(url, "listed", "s3:ListBucket", lambda: store.list(limit=1))
    yield listed
    if parts.scheme == "s3" and listed.state == OK:
        from elastic_images.doctor.s3_dialect import check_dialect

        wanted, lacking = check_dialect(url)
        yield from lacking
        store, sending = open_object_store(wanted, part_bytes=1), open_object_store(wanted)
    steps: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("written", "s3:PutObject", lambda: made.append(sending.put([_BODY]).name)),
        ("read", "s3:GetObject", lambda: _read(store, made)),
        ("written in parts and aborted", "s3:PutObject, s3:AbortMultipartUpload", lambda: _abort(store)),
        ("searched for incomplete uploads", "s3:ListBucketMultipartUploads", lambda: list(store.partials())),
    )
    for done, permission, act in steps:
        yield _tried(url, done, permission, act)
    for name in made:
        yield from _clock(store, name, clock)
        yield _tried(url, "deleted from", "s3:DeleteObject", lambda name=name: store.delete_many([name]))  # type: ignore[misc]


def check_identity(object_store: str, database: str) -> Iterator[Finding]:
    """Whether the object store is the one that the database knows. Silent if there is no such database yet."""
    file = file_of(database)
    if file is not None and not file.is_file():
        return
    try:
        with explained_engine(database, answer_seconds=10) as engine:
            if revision_of(engine) is None:
                return
            found = standing(engine, open_object_store(object_store), object_store)
    except ElasticImagesError:
        return  # the other checks report it
    if found.state in ("present", "new"):
        yield Finding(_AREA, OK, found.detail)
    else:
        yield Finding(_AREA, BAD, found.detail.removesuffix(MEND).strip(), MEND[0].lower() + MEND[1:].rstrip("."))


def _tried(url: str, done: str, permission: str, act: Callable[[], object]) -> Finding:
    try:
        act()
    except (ElasticImagesError, ObjectMissing) as error:
        what = str(error) if isinstance(error, ElasticImagesError) else "the object just written is missing or wrong"
        return Finding(_AREA, BAD, f"it cannot be {done}: {what}", _mend(url, what, permission))
    return Finding(_AREA, OK, f"it can be {done}")


def _mend(url: str, what: str, permission: str) -> str:
    if not url.startswith("s3:"):
        return "check the folder's permissions and the free disk space"
    if advice := aws_advice(what, permission):
        return advice
    if "no such bucket" in what:
        return "create the bucket, or correct ELASTIC_IMAGES_OBJECT_STORE"
    if "region" in what:
        return "set AWS_DEFAULT_REGION to the bucket's region"
    return "check that this machine can reach the service; for one that is not Amazon's, set AWS_ENDPOINT_URL_S3"


def _read(store: ObjectStore, made: list[str]) -> None:
    for name in made:
        with store.open(name) as found:
            if found.read() != _BODY:
                raise ObjectMissing(name)


def _abort(store: ObjectStore) -> None:
    """Start a multipart upload, and abort it half way."""

    def source() -> Iterator[bytes]:
        yield b"x" * 3
        raise _Aborted

    try:
        store.put(source())
    except _Aborted:
        return


def _clock(store: ObjectStore, name: str, clock: Callable[[], float]) -> Iterator[Finding]:
    """Compare clocks by the object's creation time, which has whole seconds."""
    try:
        info = store.stat(name)
    except ElasticImagesError:
        return  # the other steps report it
    skew = abs(clock() - info.created_at) if info is not None else 0.0
    yield compare_clocks("the object store's", skew, SKEW_SECONDS)


class _Aborted(Exception):
    pass
