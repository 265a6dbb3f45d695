"""What S3 does to a store on a bad day, and what the store makes of it: nothing is stored twice, nothing is lost."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from testing import fault_proxy as faults
from testing.fault_proxy import Fault, FaultProxy
from testing.object_servers import READER, WRITER, S3Server

from elastic_images.core.errors import ElasticImagesError, InvalidRequest, OutOfSpace, Unavailable
from elastic_images.storage.objects.from_url import open_object_store
from elastic_images.storage.objects.object_store import ObjectMissing, ObjectStore
from elastic_images.storage.objects.s3.boto import BotoS3Service
from elastic_images.storage.objects.s3.calls import Deadlines
from elastic_images.storage.objects.s3.store import S3ObjectStore

SMALL = b"small" * 1000
LARGE = bytes(range(256)) * 23_000
PART_BYTES = 5 * 1024 * 1024
"""5.9 MB: two parts."""


@pytest.fixture
def proxy(seaweedfs_server: S3Server) -> Iterator[FaultProxy]:
    with faults.fault_proxy(seaweedfs_server.url) as proxy:
        yield proxy


@pytest.fixture
def bucket(seaweedfs_server: S3Server) -> str:
    return seaweedfs_server.fresh_bucket()


@pytest.fixture
def store(proxy: FaultProxy, bucket: str, seaweedfs_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name, value in seaweedfs_server.environment(url=proxy.url).items():
        monkeypatch.setenv(name, value)
    return open_object_store(f"s3://{bucket}/p", part_bytes=PART_BYTES)


@pytest.fixture
def impatient(store: ObjectStore, bucket: str) -> ObjectStore:
    """The same store with deadlines that a test can wait for."""
    assert store is not None
    deadlines = Deadlines(read_seconds=6.0, write_seconds=6.0)
    return S3ObjectStore(BotoS3Service(answer_seconds=2.0), bucket, "p", part_bytes=PART_BYTES, deadlines=deadlines)


def names(store: ObjectStore) -> list[str]:
    return [info.name for info in store.list()]


def read(store: ObjectStore, name: str) -> bytes:
    with store.open(name) as found:
        return found.read()


PASSING: dict[str, Fault] = {
    "503": faults.answering(503),
    "500": faults.answering(500, b"<Error><Code>InternalError</Code></Error>"),
    "no words": faults.answering(502, b"<html>bad gateway</html>"),
    "refused": faults.refusing,
    "answer lost": faults.losing_the_answer,
    "answer cut off": faults.cutting_off(3),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["whole", "parts"])
def test_a_put_comes_through_and_stores_once(store: ObjectStore, proxy: FaultProxy, fault: Fault, body: bytes) -> None:
    """Every request of it meets the fault, one after the other."""
    proxy.put_in_the_way("PUT", fault)
    if body is LARGE:
        proxy.put_in_the_way("PUT", fault, containing="partNumber=2")
        proxy.put_in_the_way("POST", fault, containing="uploadId=")
        if fault is not faults.losing_the_answer and fault is not PASSING["answer cut off"]:
            proxy.put_in_the_way("POST", fault, containing="uploads")
    stored = store.put([body])
    assert read(store, stored.name) == body
    assert names(store) == [stored.name]
    assert list(store.partials()) == []
    if fault is not PASSING["answer cut off"]:  # the answer to a PUT has no body
        assert proxy.count("PUT") + proxy.count("POST") > (1 if body is SMALL else 4)


def test_parts_whose_beginning_was_lost_are_found(store: ObjectStore, proxy: FaultProxy) -> None:
    """The upload that nobody knows the id of is no object; the collector removes it a day later."""
    proxy.put_in_the_way("POST", faults.losing_the_answer, containing="uploads")
    stored = store.put([LARGE])
    assert names(store) == [stored.name]
    assert [partial.name for partial in store.partials()] == [stored.name]
    store.delete_partial(stored.name)
    assert list(store.partials()) == []
    assert read(store, stored.name) == LARGE


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["whole", "parts"])
def test_a_service_that_stays_busy_is_unavailable_and_keeps_nothing(
    impatient: ObjectStore, proxy: FaultProxy, body: bytes
) -> None:
    proxy.put_in_the_way("PUT", faults.answering(503), times=1000)
    with pytest.raises(Unavailable, match=r"failed at (PutObject|UploadPart) \(SlowDown\)"):
        impatient.put([body])
    proxy.clear()
    assert names(impatient) == []
    assert list(impatient.partials()) == []


def test_a_put_that_was_given_up_leaves_nothing_though_its_bytes_arrived(
    impatient: ObjectStore, proxy: FaultProxy
) -> None:
    """All answers are lost, and those to the questions whether it is there."""
    proxy.put_in_the_way("PUT", faults.losing_the_answer, times=1000)
    proxy.put_in_the_way("HEAD", faults.answering(503), times=1000)
    with pytest.raises(Unavailable):
        impatient.put([SMALL])
    proxy.clear()
    assert names(impatient) == []


def test_a_slow_service_is_waited_for_and_a_silent_one_is_not(impatient: ObjectStore, proxy: FaultProxy) -> None:
    proxy.put_in_the_way("PUT", faults.after_a_while(0.3))
    name = impatient.put([SMALL]).name
    proxy.put_in_the_way("GET", faults.after_a_while(0.3))
    assert read(impatient, name) == SMALL
    proxy.put_in_the_way("GET", faults.hanging(2.5), times=1000)
    with pytest.raises(Unavailable, match="does not answer"):
        impatient.open(name)
    proxy.clear()
    assert read(impatient, name) == SMALL


def test_a_put_that_is_answered_too_late_stores_once(impatient: ObjectStore, proxy: FaultProxy) -> None:
    """The first request is still under way when it is repeated; whichever comes first, it is one object."""
    proxy.put_in_the_way("PUT", faults.after_a_while(2.5))
    stored = impatient.put([SMALL])
    assert names(impatient) == [stored.name]
    assert read(impatient, stored.name) == SMALL


@pytest.mark.parametrize("at", [0, 1, 100_000, len(LARGE) - 1])
def test_an_answer_that_is_cut_off_is_read_on_from_there(store: ObjectStore, proxy: FaultProxy, at: int) -> None:
    name = store.put([LARGE]).name
    for piece in (-1, 65_536):
        proxy.put_in_the_way("GET", faults.cutting_off(at))
        proxy.put_in_the_way("GET", faults.answering(503))
        with store.open(name) as found:
            parts = list(iter(lambda found=found, piece=piece: found.read(piece), b""))  # type: ignore[misc]
        assert b"".join(parts) == LARGE


def test_an_object_that_is_always_cut_off_is_unavailable(impatient: ObjectStore, proxy: FaultProxy) -> None:
    name = impatient.put([SMALL]).name
    proxy.put_in_the_way("GET", faults.cutting_off(0), times=1000)
    with impatient.open(name) as found:
        for size in (1000, -1):
            with pytest.raises(Unavailable):
                found.read(size)


def test_reading_listing_and_deleting_are_repeated(store: ObjectStore, proxy: FaultProxy) -> None:
    made = sorted(store.put([SMALL]).name for _ in range(3))
    acts: list[tuple[str, Callable[[], object]]] = [
        ("GET", lambda: read(store, made[0])),
        ("HEAD", lambda: store.stat(made[0])),
        ("GET", lambda: names(store)),
        ("GET", lambda: list(store.partials())),
        ("DELETE", lambda: store.delete(made[0])),
        ("POST", lambda: store.delete_many(made[1:2])),
    ]
    for method, act in acts:
        for fault in PASSING.values():
            proxy.put_in_the_way(method, fault)
            act()
    assert names(store) == made[2:]


def test_bytes_that_change_on_their_way_are_sent_again(store: ObjectStore, proxy: FaultProxy) -> None:
    def spoiled(handler: faults._Handler, body: bytes) -> None:
        handler.pass_on(b"X" + body[1:])

    proxy.put_in_the_way("PUT", spoiled)
    assert read(store, store.put([SMALL]).name) == SMALL
    proxy.put_in_the_way("PUT", spoiled, containing="partNumber=1")
    assert read(store, store.put([LARGE]).name) == LARGE


def test_connections_are_used_again(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    setup = faults._Handler.setup

    def note(handler: faults._Handler) -> None:
        opened.append(handler)
        setup(handler)

    monkeypatch.setattr(faults._Handler, "setup", note)
    for _ in range(10):
        assert read(store, store.put([SMALL]).name) == SMALL
    store.list()
    assert len(opened) == 1


def test_deleting_many_takes_one_request(store: ObjectStore, proxy: FaultProxy) -> None:
    made = [store.put([b"x"]).name for _ in range(7)]
    proxy.clear()
    store.delete_many(made)
    assert len(proxy.requests) == 1
    assert names(store) == []


def test_a_check_writes_twice_and_then_only_looks(store: ObjectStore, proxy: FaultProxy) -> None:
    store.check()
    store.check()
    assert [request.method for request in proxy.requests] == ["HEAD", "PUT", "PUT", "DELETE"]


def test_processes_that_check_at_once_do_not_disturb_each_other(store: ObjectStore, bucket: str) -> None:
    store.list()
    others = [open_object_store(f"s3://{bucket}/p") for _ in range(6)]
    with ThreadPoolExecutor(len(others)) as pool:
        list(pool.map(lambda one: one.check(), others))


# ---- What cannot be mended by asking again ----


def test_what_is_wrong_is_said_precisely(
    seaweedfs_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cases: list[tuple[tuple[str, str], str, str]] = [
        (("AKNOBODY", "x" * 20), bucket, r"does not accept the AWS credentials \(InvalidAccessKeyId\)"),
        ((WRITER[0], "wrong-secret"), bucket, r"does not accept the AWS credentials \(SignatureDoesNotMatch\)"),
        (READER, bucket, r"does not allow PutObject to these credentials \(AccessDenied\)"),
        (WRITER, "no-such-bucket", "has no such bucket"),
    ]
    with caplog.at_level(logging.DEBUG, logger="elastic_images"):
        for credentials, name, words in cases:
            for variable, value in seaweedfs_server.environment(credentials).items():
                monkeypatch.setenv(variable, value)
            store = open_object_store(f"s3://{name}/p")
            for body in (b"x", LARGE * 2):
                with pytest.raises(Unavailable, match=words.replace("PutObject", r"\w+")) as caught:
                    store.put([body])
                shown = str(caught.value) + caplog.text
                assert f"s3://{name}/p" in shown
                for secret in (WRITER, READER, ("AKNOBODY", "x" * 20), (WRITER[0], "wrong-secret")):
                    assert secret[0] not in shown
                    assert secret[1] not in shown
                assert caught.value.__suppress_context__
            if name != bucket:
                looks: list[Callable[[], object]] = [store.list, store.check, partial(store.stat, "0" * 32)]
                for look in looks:
                    with pytest.raises(Unavailable):
                        look()


def test_who_may_only_read_reads(
    seaweedfs_server: S3Server, bucket: str, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store.put([SMALL]).name
    for variable, value in seaweedfs_server.environment(READER).items():
        monkeypatch.setenv(variable, value)
    reader = open_object_store(f"s3://{bucket}/p")
    assert read(reader, name) == SMALL
    assert names(reader) == [name]
    acts: list[Callable[[], object]] = [partial(reader.delete, name), partial(reader.delete_many, [name]), reader.check]
    for act in acts:
        with pytest.raises(Unavailable, match=r"does not allow \w+ to these credentials"):
            act()
    assert read(store, name) == SMALL


def test_no_credentials_are_said_to_be_missing(
    seaweedfs_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in seaweedfs_server.environment().items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Unavailable, match="needs AWS credentials, and none were found"):
        open_object_store(f"s3://{bucket}").list()


def test_a_full_service_is_out_of_space(store: ObjectStore, proxy: FaultProxy) -> None:
    proxy.put_in_the_way("PUT", faults.answering(507, b"<Error><Code>InsufficientStorage</Code></Error>"))
    with pytest.raises(OutOfSpace):
        store.put([SMALL])
    assert names(store) == []


def test_foreign_objects_are_passed_over(
    store: ObjectStore, seaweedfs_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from elastic_images.storage.objects.s3 import store as s3_store

    monkeypatch.setattr(s3_store, "_PAGE", 3)
    client = seaweedfs_server.client()
    for key in ("README", "p/0", "p/5/x", "p/a", *(f"p/b{number}" for number in range(7)), "p/zz", "q/" + "0" * 32):
        client.put_object(Bucket=bucket, Key=key, Body=b"not ours")
    client.close()
    made = sorted(store.put([b"x"]).name for _ in range(8))
    assert names(store) == made
    assert [info.name for info in store.list(made[3], 2)] == made[4:6]


@pytest.mark.parametrize(
    "url", ["s3://", "s3://B", "s3:///x", "s3://key:secret@bucket/p", "s3://bucket/p?x=1", "s3://bucket/a b"]
)
def test_urls_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="s3://bucket/prefix") as caught:
        open_object_store(url)
    assert "secret" not in str(caught.value)


def test_without_boto3_the_message_says_what_to_install() -> None:
    program = """
import sys
sys.modules["boto3"] = None
from elastic_images.core.errors import InvalidRequest
from elastic_images.storage.objects.from_url import open_object_store
from elastic_images.storage.objects.s3.boto import BotoS3Service
from elastic_images.storage.objects.s3.calls import Deadlines
from elastic_images.storage.objects.s3.store import S3ObjectStore
open_object_store("file:///x")
try:
    open_object_store("s3://bucket/prefix")
except InvalidRequest as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "needs the package boto3" in done.stdout
    assert "pip install 'elastic-images[aws]'" in done.stdout


def test_opening_touches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it load boto3's clients: a store that is not used costs nothing."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with contextlib.suppress(ElasticImagesError):
        open_object_store("s3://bucket/prefix")
    with pytest.raises(ValueError, match="not an object name"):
        open_object_store("s3://bucket/prefix").open("..")


def test_what_is_not_there_is_missing(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing):
        store.open("0" * 32)
