"""Which object store is the system's, and what happens while another one, or none, is in its place."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from sqlalchemy import Engine, insert
from testing.clock import Clock
from testing.object_servers import S3Server

from elastic_images.core.errors import StoreAway, Unavailable
from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import migrate
from elastic_images.storage.catalog.store_ids import new_store_id, record_id, recorded_id, sample
from elastic_images.storage.catalog.tables import images
from elastic_images.storage.objects.from_url import open_object_store
from elastic_images.storage.objects.guarded import GuardedStore
from elastic_images.storage.objects.local import LocalObjectStore
from elastic_images.storage.objects.object_store import ObjectMissing, ObjectStore
from elastic_images.storage.upkeep.adoption import adopt, settle, standing


@dataclass
class Place:
    """Where a store is, and what can happen to it there."""

    url: str
    server: S3Server | None

    def store(self) -> ObjectStore:
        return open_object_store(self.url)

    @property
    def folder(self) -> Path:
        return Path(unquote(urlsplit(self.url).path))

    def take_away(self) -> Callable[[], None]:
        """Leave nothing at the place. Gives what brings it back."""
        if self.server is None:
            aside = self.folder.with_name("aside")
            self.folder.rename(aside)

            def back() -> None:
                shutil.rmtree(self.folder, ignore_errors=True)
                aside.rename(self.folder)

            return back
        parts = urlsplit(self.url)
        bucket, prefix, server = parts.netloc, parts.path.strip("/") + "/", self.server
        with contextlib.closing(server.client()) as client:
            listed = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
            kept = {one["Key"]: client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed}
            for key in kept:
                client.delete_object(Bucket=bucket, Key=key)

        def restore() -> None:
            with contextlib.closing(server.client()) as client:
                for key, body in kept.items():
                    client.put_object(Bucket=bucket, Key=key, Body=body)

        return restore


@pytest.fixture
def place(object_server: S3Server | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if object_server is None:
        return Place(f"file://{tmp_path}/deep/objects", None)
    for name, value in object_server.environment().items():
        monkeypatch.setenv(name, value)
    return Place(f"s3://{object_server.fresh_bucket()}/some/prefix", object_server)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/catalog.db")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def guarded(place: Place, sqlite: Engine, clock: Clock) -> GuardedStore:
    settle(sqlite, place.store(), place.url)
    guarded = GuardedStore(place.store(), place.url, lambda: recorded_id(sqlite), clock=clock)
    guarded.check()
    return guarded


def read(store: ObjectStore, name: str) -> bytes:
    with store.open(name) as found:
        return found.read()


def add_image(engine: Engine, name: str, size_bytes: int) -> None:
    row = {
        "key": f"image {name}", "object_name": name, "version": 1, "sha256": "0" * 64, "size_bytes": size_bytes,
        "content_type": "image/png", "format": "PNG", "width": 1, "height": 1, "frames": 1, "created_at": 1.0,
        "updated_at": 1.0,
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(images).values(**row))


# The start.


def test_the_first_start_makes_the_store_and_gives_both_an_id(place: Place, sqlite: Engine) -> None:
    assert place.store().look().store_id is None
    settle(sqlite, place.store(), place.url)
    seen = place.store().look()
    assert seen.empty
    assert seen.store_id == recorded_id(sqlite)
    assert len(seen.store_id or "") == 32
    settle(sqlite, place.store(), place.url)  # the next one
    assert place.store().look() == seen


def test_the_id_is_no_object(place: Place) -> None:
    store = place.store()
    store.mark("first")
    store.mark("second")
    assert store.look().store_id == "second"
    assert store.list() == []
    assert list(store.partials()) == []
    name = store.put([b"x"]).name
    assert [info.name for info in store.list()] == [name]
    assert not store.look().empty


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_system_from_before_store_ids_gets_one(place: Place, sqlite: Engine, interrupted: bool) -> None:
    for number in range(5):
        add_image(sqlite, place.store().put([b"x" * number]).name, number)
    if interrupted:
        place.store().mark(new_store_id())
    assert standing(sqlite, place.store(), place.url).state == "new"
    settle(sqlite, place.store(), place.url)
    assert place.store().look().store_id == recorded_id(sqlite) is not None


@pytest.mark.parametrize("what", ["empty", "lacks one", "wrong size"])
def test_a_system_from_before_store_ids_refuses_another_store(place: Place, sqlite: Engine, what: str) -> None:
    if what != "empty":
        add_image(sqlite, place.store().put([b"x"]).name, 1)
        add_image(sqlite, place.store().put([b"x"]).name if what == "wrong size" else "f" * 32, 2)
    else:
        add_image(sqlite, "a" * 32, 1)
    with pytest.raises(StoreAway, match="adopt --yes"):
        settle(sqlite, place.store(), place.url)
    assert recorded_id(sqlite) is None
    assert place.store().look().store_id is None


def test_a_new_database_refuses_the_store_of_another_system(place: Place, sqlite: Engine) -> None:
    place.store().put([b"from before store ids"])
    assert standing(sqlite, place.store(), place.url).state == "new"
    place.store().mark(new_store_id())
    with pytest.raises(StoreAway, match="the id of another one"):
        settle(sqlite, place.store(), place.url)


@pytest.mark.parametrize("what", ["absent", "other", "unmarked"])
def test_a_start_refuses_any_store_but_its_own(place: Place, sqlite: Engine, what: str) -> None:
    record_id(sqlite, new_store_id())
    if what == "other":
        place.store().mark(new_store_id())
    elif what == "unmarked":
        place.store().put([b"x"])
    with pytest.raises(StoreAway) as refused:
        settle(sqlite, place.store(), place.url)
    words = {"absent": "absent or empty", "other": "the id of another one", "unmarked": "no store id"}
    assert words[what] in str(refused.value)
    assert place.url in str(refused.value)
    if place.server is None:
        assert place.folder.exists() == (what != "absent"), "a start makes no folder for a store that is away"


def test_adopting_is_the_way_out(place: Place, sqlite: Engine) -> None:
    record_id(sqlite, "the former id")
    add_image(sqlite, "a" * 32, 1)
    before = standing(sqlite, place.store(), place.url)
    assert (before.state, before.images, before.sampled, before.found) == ("empty", 1, 1, 0)
    assert adopt(sqlite, place.store()) == recorded_id(sqlite)
    settle(sqlite, place.store(), place.url)
    assert standing(sqlite, place.store(), place.url).state == "present"


def test_ids_and_samples_on_every_database(engine: Engine) -> None:
    assert recorded_id(engine) is None
    assert sample(engine) == {}
    for store_id in ("a" * 32, "b" * 32):
        record_id(engine, store_id)
        assert recorded_id(engine) == store_id
    sizes = {f"{number:02x}" * 16: number for number in range(0, 256, 5)}
    for name, size in sizes.items():
        add_image(engine, name, size)
    assert sample(engine) == sizes


# While it runs.


def test_a_guarded_store_works_like_any_other(guarded: GuardedStore) -> None:
    name = guarded.put([b"bytes"]).name
    assert read(guarded, name) == b"bytes"
    assert [info.name for info in guarded.list()] == [name]
    assert guarded.stat(name) is not None
    with pytest.raises(ObjectMissing):
        guarded.open("a" * 32)
    assert guarded.stat("a" * 32) is None
    guarded.delete(name)
    assert guarded.list() == []


@pytest.mark.parametrize("instead", ["nothing", "an empty store", "another store"])
def test_nothing_is_written_or_called_missing_while_the_store_is_away(
    place: Place, guarded: GuardedStore, clock: Clock, instead: str
) -> None:
    name = guarded.put([b"bytes"]).name
    back = place.take_away()
    if instead == "an empty store" and place.server is None:
        place.folder.mkdir()
    if instead == "another store":
        place.store().mark(new_store_id())
        place.store().put([b"somebody else's"])
    theirs = [info.name for info in place.store().list()]
    with pytest.raises(StoreAway):
        guarded.put([b"lost"])
    if place.server is not None:
        with pytest.raises(StoreAway):
            guarded.open(name)
    clock.now += 2
    for act in (
        lambda: guarded.put([b"lost"]),
        lambda: guarded.open(name),
        lambda: guarded.open("a" * 32),
        lambda: guarded.stat(name),
        lambda: guarded.delete(name),
        lambda: guarded.delete_many([name]),
        guarded.list,
        guarded.partials,
        guarded.check,
    ):
        with pytest.raises(StoreAway, match="absent or empty" if instead != "another store" else "another one"):
            act()
    assert [info.name for info in place.store().list()] == theirs, "the store in its place is left alone"
    if place.server is None and instead == "nothing":
        assert not place.folder.exists()
    back()
    clock.now += 2
    assert read(guarded, name) == b"bytes"
    assert read(guarded, guarded.put([b"more"]).name) == b"more"


def test_an_object_put_into_a_store_that_was_emptied_meanwhile_does_not_count(
    place: Place, guarded: GuardedStore
) -> None:
    def body() -> Iterator[bytes]:
        yield b"first"
        place.take_away()
        yield b"last"

    with pytest.raises(Unavailable):
        guarded.put(body())
    assert place.store().list() == []


def test_an_adopted_store_is_taken_up(place: Place, guarded: GuardedStore, sqlite: Engine, clock: Clock) -> None:
    place.take_away()
    with pytest.raises(StoreAway):
        guarded.put([b"lost"])
    adopt(sqlite, place.store())
    clock.now += 2
    name = guarded.put([b"bytes"]).name
    assert read(place.store(), name) == b"bytes"


def test_a_store_that_cannot_be_reached_is_not_called_another_one(
    seaweedfs_server: S3Server, sqlite: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in seaweedfs_server.environment(url="http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    record_id(sqlite, "a" * 32)
    guarded = GuardedStore(open_object_store("s3://bucket"), "s3://bucket", lambda: recorded_id(sqlite))
    with pytest.raises(Unavailable, match="does not answer") as failed:
        guarded.check()
    assert not isinstance(failed.value, StoreAway)


# What only folders have.


def test_a_write_begun_before_the_folder_went_is_not_lost_elsewhere(tmp_path: Path) -> None:
    """It fails, and leaves nothing in either folder."""
    store = LocalObjectStore(
        tmp_path / "objects", crash_point=lambda name: swap() if name == "object-flushed" else None
    )
    store.mark("ours")
    assert store.pin("ours")

    def swap() -> None:
        (tmp_path / "objects").rename(tmp_path / "aside")
        (tmp_path / "objects").mkdir()

    with pytest.raises(StoreAway, match="unmounted or replaced"):
        store.put([b"bytes"])
    assert list((tmp_path / "objects").iterdir()) == []
    aside = LocalObjectStore(tmp_path / "aside")
    assert (aside.list(), list(aside.partials())) == ([], [])


def test_a_pinned_folder_closes_its_descriptors(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path / "objects")
    store.mark("ours")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        assert store.pin("ours")
        assert not store.pin("another")
        store.mark("ours")
    assert store.pin("ours")
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
