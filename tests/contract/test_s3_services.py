"""S3 services that lack something: which the store works with, and what `doctor` says about the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from testing import lacking_services as lacks
from testing.fault_proxy import _Handler
from testing.lacking_services import Lack, lacking_service
from testing.object_servers import S3Server

from elastic_images.backup.destination import Destination
from elastic_images.core.errors import InvalidRequest, Unavailable
from elastic_images.doctor.finding import BAD, NOTE, OK
from elastic_images.doctor.object_store import check_store
from elastic_images.storage.objects.from_url import below, open_object_store
from elastic_images.storage.objects.object_store import ObjectStore
from elastic_images.storage.objects.s3.dialect import S3Dialect

LARGE = bytes(range(256)) * 23_000
PART_BYTES = 5 * 1024 * 1024
Service = Callable[..., str]


@pytest.fixture
def service(moto_server: S3Server, seaweedfs_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Makes boto3 use a service that lacks these things; gives the URL of a store there."""
    with ExitStack() as stack:

        def made(*lacking: Lack) -> str:
            server = moto_server if lacks.ignored_conditions in lacking else seaweedfs_server
            proxy = stack.enter_context(lacking_service(server.url, *lacking))
            for name, value in server.environment(url=proxy.url).items():
                monkeypatch.setenv(name, value)
            return f"s3://{server.fresh_bucket()}/p"

        yield made


def read(store: ObjectStore, name: str) -> bytes:
    with store.open(name) as found:
        return found.read()


def use(store: ObjectStore) -> None:
    """Everything that a system does with its store."""
    store.mark("a" * 32)
    store.check()
    assert store.look().store_id == "a" * 32
    names = sorted(store.put([body]).name for body in (b"small", LARGE))
    assert sorted(hashlib.sha256(read(store, name)).digest() for name in names) == sorted(
        hashlib.sha256(body).digest() for body in (b"small", LARGE)
    )
    with pytest.raises(Unavailable):
        store.put([b"other bytes"], names[0])
    store.replace(names[0], [LARGE])
    store.quarantine(names[1])
    assert [info.name for info in store.list()] == names[:1]
    assert read(store, names[0]) == LARGE
    store.delete_many([*names, "0" * 32])
    assert (store.list(), list(store.partials())) == ([], [])


CASES: list[tuple[str, tuple[Lack, ...], str, list[tuple[str, str]]]] = [
    ("nothing", (), "", []),
    (
        "checksums",
        (lacks.no_checksum_headers,),
        "checksums=md5",
        [("refuses uploads with x-amz-checksum headers (InvalidArgument)", "?checksums=md5'")],
    ),
    (
        "batches without MD5",
        (lacks.no_batches_without_md5,),
        "",
        [("refuses DeleteObjects (MissingContentMD5), so objects are deleted one by one", "add checksums=md5")],
    ),
    ("batches", (lacks.no_batches,), "", [("refuses DeleteObjects (NotImplemented)", "")]),
    (
        "conditions",
        (lacks.no_conditional_writes,),
        "conditional_writes=off",
        [("refuses uploads with If-None-Match (NotImplemented)", "?conditional_writes=off'")],
    ),
    (
        "conditions, silently",
        (lacks.ignored_conditions,),
        "conditional_writes=off",
        [("ignores If-None-Match: it overwrites objects", "?conditional_writes=off'")],
    ),
    (
        "all",
        (lacks.no_checksum_headers, lacks.no_batches, lacks.no_conditional_writes),
        "checksums=md5&conditional_writes=off",
        [
            ("refuses uploads with x-amz-checksum headers", "?checksums=md5&conditional_writes=off'"),
            ("refuses uploads with If-None-Match", "?checksums=md5&conditional_writes=off'"),
            ("refuses DeleteObjects (NotImplemented)", ""),
        ],
    ),
]


@pytest.mark.parametrize(("lacking", "query", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_doctor_finds_what_a_service_needs_and_with_it_everything_works(
    service: Service, lacking: tuple[Lack, ...], query: str, told: list[tuple[str, str]]
) -> None:
    url = service(*lacking)
    findings = list(check_store(url))
    lines = [(finding.what, finding.mend or "") for finding in findings if finding.state != OK]
    assert len(lines) == len(told), lines
    for (what, mend), (what_told, mend_told) in zip(lines, told, strict=True):
        assert what_told in what
        assert mend_told in mend
    assert any(finding.state == BAD for finding in findings) == bool(query)
    store = open_object_store(url)
    assert (store.list(), list(store.partials())) == ([], [])
    if query:
        advice = "docs/aws.md" if "ignores" in lines[0][0] else "elastic-images doctor"
        with pytest.raises(Unavailable, match=advice):
            store.put([b"x"]) if "x-amz-checksum" in lines[0][0] else store.check()
        url = f"{url}?{query}"
        assert {finding.state for finding in check_store(url)} <= {OK, NOTE}
        assert open_object_store(url).list() == []
    use(open_object_store(url, part_bytes=PART_BYTES))


def test_md5_in_place_of_the_newer_checksums(service: Service) -> None:
    """Each upload and each deletion of several objects carries it: a service that does not know it would say so."""
    seen: list[str | None] = []

    def note(handler: _Handler) -> None:
        if handler.command == "PUT" or "?delete" in handler.path:
            seen.append(handler.headers["Content-MD5"])

    store = open_object_store(service(lacks.no_checksum_headers, note) + "?checksums=md5", part_bytes=PART_BYTES)
    names = [store.put([body]).name for body in (b"small", LARGE)]
    store.delete_many(names)
    assert len(seen) == 4  # one, two parts, and one request for both deletions
    assert None not in seen


def test_a_backup_below_a_url_with_parameters(service: Service) -> None:
    url = service(lacks.no_checksum_headers, lacks.no_conditional_writes) + "?checksums=md5&conditional_writes=off"
    place = Destination(url)
    name = place.objects.put([b"x"]).name
    assert place.sets() == []
    assert [info.name for info in open_object_store(below(url, "objects")).list()] == [name]
    assert open_object_store(below(url, "files")).list() == []


@pytest.mark.parametrize(
    "query", ["x=1", "checksums=sha1", "checksums", "conditional_writes=no", "checksums=md5&checksums=md5", "x"]
)
def test_other_parameters_are_refused(query: str) -> None:
    with pytest.raises(InvalidRequest, match="checksums=md5 and conditional_writes=off"):
        open_object_store(f"s3://bucket/p?{query}")


def test_the_parameters_of_a_dialect_say_what_it_is() -> None:
    for query in ("", "checksums=md5", "conditional_writes=off", "checksums=md5&conditional_writes=off"):
        assert S3Dialect.parse(query).query() == query
    assert S3Dialect.parse("conditional_writes=on&checksums=sha256") == S3Dialect()
