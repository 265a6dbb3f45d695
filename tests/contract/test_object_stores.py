"""What every object store does."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from testing.object_servers import S3Server

from elastic_images.core.errors import InvalidRequest, OutOfSpace, Unavailable
from elastic_images.storage.objects.from_url import open_object_store
from elastic_images.storage.objects.local import LocalObjectStore
from elastic_images.storage.objects.object_store import NAME, ObjectMissing, ObjectStore, StoredObject


@pytest.fixture
def store(object_server: S3Server | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    if object_server is None:
        return open_object_store(f"file://{tmp_path}/deep/objects%20here")
    for name, value in object_server.environment().items():
        monkeypatch.setenv(name, value)
    return open_object_store(f"s3://{object_server.fresh_bucket()}/some/prefix")


def read(store: ObjectStore, name: str) -> bytes:
    with store.open(name) as found:
        return found.read()


def all_names(store: ObjectStore, limit: int = 3) -> list[str]:
    names: list[str] = []
    while page := store.list(names[-1] if names else "", limit):
        names += [info.name for info in page]
    return names


def test_what_is_put_is_read_counted_and_hashed(store: ObjectStore) -> None:
    chunks = [b"first", b"", b"\0" * 300_000, b"last"]
    before = time.time()
    stored = store.put(iter(chunks))
    body = b"".join(chunks)
    assert stored == StoredObject(stored.name, len(body), hashlib.sha256(body).hexdigest())
    assert NAME.fullmatch(stored.name)
    with store.open(stored.name) as found:
        assert found.size_bytes == len(body)
        assert found.read(5) + found.read() == body
        assert found.read(1) == b""
    info = store.stat(stored.name)
    assert info is not None
    assert info.size_bytes == len(body)
    assert before - 2 <= info.created_at <= time.time() + 2


def test_no_bytes_are_an_object_too(store: ObjectStore) -> None:
    stored = store.put([])
    assert stored == StoredObject(stored.name, 0, hashlib.sha256().hexdigest())
    with store.open(stored.name) as found:
        assert (found.size_bytes, found.read()) == (0, b"")


def test_a_name_that_is_given_is_used_once(store: ObjectStore) -> None:
    name = "0123456789abcdef" * 2
    assert store.put([b"first"], name).name == name
    with pytest.raises(Unavailable):
        store.put([b"second"], name)
    with pytest.raises(Unavailable):
        store.put([b"first"], name)
    assert read(store, name) == b"first"
    with pytest.raises(ValueError, match="not an object name"):
        store.put([b"x"], "../x")


@pytest.mark.parametrize("size_bytes", [5, 20_000_000])
def test_an_object_is_replaced_at_once_or_not_at_all(store: ObjectStore, size_bytes: int) -> None:
    name = store.put([b"damaged"]).name
    body = b"\x07" * size_bytes

    def breaks() -> Iterator[bytes]:
        yield body
        raise OutOfSpace("no more")

    with store.open(name) as reader:
        with pytest.raises(OutOfSpace):
            store.replace(name, breaks())
        assert read(store, name) == b"damaged"
        assert store.replace(name, iter([body])) == StoredObject(name, size_bytes, hashlib.sha256(body).hexdigest())
        assert reader.read() == b"damaged"
    assert read(store, name) == body
    assert (all_names(store), list(store.partials())) == ([name], [])
    store.delete(name)
    store.replace(name, [b"lost"])
    assert read(store, name) == b"lost"
    with pytest.raises(ValueError, match="not an object name"):
        store.replace("../x", [b"x"])


def test_the_quarantine_is_out_of_sight(store: ObjectStore) -> None:
    names = [store.put([b"x" * number]).name for number in range(5)]
    for _ in range(2):  # an interrupted repair is run again
        store.quarantine(names[0])
    store.quarantine("0" * 32)
    assert all_names(store) == sorted(names[1:])
    assert store.stat(names[0]) is None
    assert list(store.partials()) == []
    with pytest.raises(ObjectMissing):
        store.open(names[0])
    store.put([b"the same name again"], names[0])
    store.quarantine(names[0])
    assert all_names(store) == sorted(names[1:])
    with pytest.raises(ValueError, match="not an object name"):
        store.quarantine("../x")


@pytest.mark.parametrize("point", ["object-written", "object-flushed", "object-renamed"])
def test_a_crash_while_an_object_is_replaced(tmp_path: Path, point: str) -> None:
    """It has its old bytes or its new ones, and the repair can be run again."""
    name = LocalObjectStore(tmp_path).put([b"damaged"]).name

    def crash(reached: str) -> None:
        if reached == point:
            os._exit(9)

    child = os.fork()
    if child == 0:
        LocalObjectStore(tmp_path, crash_point=crash).replace(name, [b"good"])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    store = LocalObjectStore(tmp_path)
    assert read(store, name) == (b"good" if point == "object-renamed" else b"damaged")
    store.replace(name, [b"good"])
    assert read(store, name) == b"good"
    assert list(store.partials()) == []


def test_quarantined_files_keep_their_bytes(tmp_path: Path) -> None:
    """In a folder, an object that something replaced by a folder goes there, too."""
    store = LocalObjectStore(tmp_path)
    name, other = store.put([b"bytes"]).name, "ab" * 16
    store.quarantine(name)
    assert (tmp_path / "quarantine" / name).read_bytes() == b"bytes"
    (tmp_path / "ab" / other).mkdir()
    (tmp_path / "partial" / other).write_bytes(b"half, from a repair that was interrupted")
    store.replace(other, [b"good"])
    assert read(store, other) == b"good"
    assert (tmp_path / "quarantine" / other).is_dir()


def test_what_is_large_comes_back_whole(store: ObjectStore) -> None:
    """Larger than what is sent at once to any store, and not a multiple of anything."""
    chunks = [bytes([number]) * 262_147 for number in range(80)]
    stored = store.put(iter(chunks))
    body = b"".join(chunks)
    assert (stored.size_bytes, stored.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert read(store, stored.name) == body
    assert list(store.partials()) == []
    info = store.stat(stored.name)
    assert info is not None
    assert info.size_bytes == len(body)


def test_equal_bytes_are_two_objects(store: ObjectStore) -> None:
    first, second = store.put([b"same"]), store.put([b"same"])
    assert first.name != second.name
    store.delete(first.name)
    assert read(store, second.name) == b"same"


def test_what_is_deleted_is_missing(store: ObjectStore) -> None:
    name = store.put([b"x"]).name
    store.delete(name)
    store.delete(name)
    assert store.stat(name) is None
    assert store.list() == []
    with pytest.raises(ObjectMissing):
        store.open(name)


def test_many_are_deleted_at_once(store: ObjectStore) -> None:
    names = [store.put([b"x"]).name for _ in range(4)]
    store.delete_many([])
    store.delete_many([*names[:3], "0" * 32])
    store.delete_many(names[:3])
    assert [info.name for info in store.list()] == names[3:]
    with pytest.raises(ValueError, match="not an object name"):
        store.delete_many([names[3], "../x"])


def test_an_empty_store_is_empty(store: ObjectStore) -> None:
    assert store.list() == []
    assert list(store.partials()) == []
    assert store.stat("0" * 32) is None
    with pytest.raises(ObjectMissing):
        store.open("0" * 32)


def test_listing_is_sorted_and_paged(store: ObjectStore) -> None:
    names = sorted(store.put([b"x" * number]).name for number in range(10))
    for limit in (1, 3, 9, 10, 11, 1000):
        assert all_names(store, limit) == names
    assert store.list() == [store.stat(name) for name in names]


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "0" * 31, "0" * 33, "G" * 32, "00/" + "0" * 29])
def test_names_of_another_kind_touch_nothing(store: ObjectStore, name: str) -> None:
    for act in (store.open, store.delete, store.stat, store.delete_partial):
        with pytest.raises(ValueError, match="not an object name"):
            act(name)


@pytest.mark.parametrize("size_bytes", [4, 20_000_000])
def test_a_source_that_fails_leaves_nothing(store: ObjectStore, size_bytes: int) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * size_bytes
        raise KeyError("lost")

    with pytest.raises(KeyError):
        store.put(broken())
    assert store.list() == []
    assert list(store.partials()) == []


def test_a_reader_keeps_what_is_deleted_meanwhile(store: ObjectStore) -> None:
    name = store.put([b"x" * 1_000_000]).name
    with store.open(name) as found:
        head = found.read(10)
        store.delete(name)
        assert len(head + found.read()) == 1_000_000


def test_an_object_is_seen_only_when_it_is_whole(store: ObjectStore) -> None:
    seen: list[int] = []

    def watched() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x"
            seen.append(len(store.list()))

    store.put(watched())
    assert seen == [0, 0, 0]
    assert len(store.list()) == 1


def test_many_put_at_once(store: ObjectStore) -> None:
    bodies = [bytes([number]) * (number * 1000) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda body: store.put([body]), bodies))
    assert [read(store, one.name) for one in stored] == bodies
    assert all_names(store, 7) == sorted(one.name for one in stored)


def test_check_passes_on_a_store_that_works(store: ObjectStore) -> None:
    store.check()
    store.check()
    assert store.list() == []


# What only folders have.


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["fsync", "mkdir"])
def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    store = LocalObjectStore(tmp_path / "objects")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OutOfSpace):
            store.put([b"bytes"])
    assert store.list() == []
    assert list(store.partials()) == []
    assert read(store, store.put([b"again"]).name) == b"again"


def test_an_object_beyond_the_file_size_limit_leaves_nothing(tmp_path: Path) -> None:
    import resource

    store = LocalObjectStore(tmp_path)
    store.check()
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        with pytest.raises(OutOfSpace):
            store.put([b"x" * 200_000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert store.list() == []
    assert list(store.partials()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = LocalObjectStore(tmp_path / "file" / "objects")
    for act in (store.check, lambda: store.put([b"x"])):
        with pytest.raises(Unavailable, match="cannot be written: File exists"):
            act()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another user's place")
def test_a_folder_without_rights_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    store = LocalObjectStore(tmp_path / "objects")
    store.check()
    (tmp_path / "objects" / "partial").chmod(0o555)
    os.seteuid(65534)
    try:
        # pytest's own folders may be closed to others, which is the same trouble one level up
        with pytest.raises(Unavailable, match="Permission denied"):
            store.check()
        with pytest.raises(Unavailable, match="Permission denied"):
            store.put([b"x"])
    finally:
        os.seteuid(0)


def test_everything_is_flushed_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, rename, folder: in this order, and the folder is the one that the object is in."""
    done: list[object] = []
    store = LocalObjectStore(tmp_path, crash_point=done.append)
    store.check()
    flush = os.fsync

    def note(descriptor: int) -> None:
        done.append(os.fstat(descriptor).st_ino)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    name = store.put([b"x"]).name
    folder = tmp_path / name[:2]
    file_number, folder_number = (folder / name).stat().st_ino, folder.stat().st_ino
    assert done == ["object-written", file_number, "object-flushed", "object-renamed", folder_number]


def test_what_a_crash_left_half_put_can_be_found_and_removed(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path)
    store.check()
    (tmp_path / "partial" / ("c" * 32)).write_bytes(b"half")
    (tmp_path / "partial" / "README").write_bytes(b"not ours")
    assert [(info.name, info.size_bytes) for info in store.partials()] == [("c" * 32, 4)]
    store.delete_partial("c" * 32)
    assert list(store.partials()) == []


def test_a_name_is_never_used_twice(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path, make_name=lambda: "a" * 32)
    store.put([b"first"])
    with pytest.raises(Unavailable):
        store.put([b"second"])
    assert read(store, "a" * 32) == b"first"


@pytest.mark.parametrize("url", ["", "objects", "file:relative", "file://host/x", "ftp://x/y", "/plain/path"])
def test_urls_of_another_kind_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="must be a URL such as"):
        open_object_store(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://bucket/../x", "segments"),
        ("s3://bucket/a/./b", "segments"),
        ("s3://Bucket/x", "the bucket's name"),
        ("s3:///x", "the bucket's name"),
        ("s3://bucket/a//b", "the prefix may have"),
        ("s3://bucket/a b", "the prefix may have"),
        ("s3://bucket/x?region=eu", "parameters"),
        ("s3://key:secret@bucket/x", "credentials"),
    ],
)
def test_a_refused_s3_url_says_which_part_is_wrong(url: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as refused:
        open_object_store(url)
    assert "secret" not in str(refused.value)
