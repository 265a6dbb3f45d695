"""`elastic-images migrate` from each kind of database and store to each other kind, interruptions included."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select, text
from testing.database_servers import DatabaseServer
from testing.object_servers import S3Server
from testing.storage_parts import ANN, Parts, picture, write_id
from tests.unit.cli.support import data_folder, run, run_json

from elastic_images.accounts.accounts import Accounts
from elastic_images.core.errors import Conflict
from elastic_images.core.visibility import VISIBILITIES
from elastic_images.database import copying
from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import migrate
from elastic_images.database.tables import import_all
from elastic_images.pool.store import PoolStore
from elastic_images.storage.catalog.catalog import Catalog
from elastic_images.storage.objects.from_url import open_object_store
from elastic_images.storage.objects.local import LocalObjectStore
from elastic_images.storage.objects.object_store import CHUNK_BYTES, ObjectStore
from elastic_images.storage.upkeep.adoption import settle
from elastic_images.storage.upkeep.fsck import fsck

KEYS = ["Case1", "case1", "ä/😀", *(f"k{number:03}" for number in range(40))]
OBJECTS = len(KEYS) + 1
"""One image was replaced and one deleted: both are in the trash."""
PASSWORD = "a good long password"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a system that was used and stopped."""
    folder = data_folder(tmp_path, monkeypatch)
    engine = open_engine(f"sqlite:///{folder}/elastic-images.db")
    migrate(engine)
    parts = Parts(engine, folder)
    for number, key in enumerate(KEYS):
        parts.put(key, picture(seed=number), ANN, visibility=VISIBILITIES[number % 3])
    parts.writes.move("k002", "moved", write_id=write_id(), actor=ANN)
    parts.writes.move("moved", "k002", write_id=write_id(), actor=ANN)
    parts.put("k000", picture(seed=500), ANN)
    parts.delete("k001", ANN)
    settle(engine, parts.store, "the store")
    Accounts(engine, session_seconds=60).users.add("Zoë", PASSWORD)
    PoolStore(engine).set_config({"policy": "RR", "num_nodes": 3})
    engine.dispose()
    return folder


@pytest.fixture
def source(data: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{data}/elastic-images.db")
    yield engine
    engine.dispose()


@pytest.fixture
def target(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def s3_url(seaweedfs_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in seaweedfs_server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{seaweedfs_server.fresh_bucket()}/images"


def rows(engine: Engine) -> dict[str, list[str]]:
    """Every row of every table."""
    with engine.connect() as connection:
        return {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
            for table in import_all().sorted_tables
        }


def check_copy(source: Engine, target: Engine, store: ObjectStore) -> None:
    assert rows(target) == rows(source)
    report = fsck(store, target, check_digests=True)
    assert (report.healthy, report.images, report.objects) == (True, len(KEYS) - 1, OBJECTS)


def test_a_system_is_copied_whole(
    data: Path, source: Engine, target: Engine, database_url: str, s3_url: str, seaweedfs_server: S3Server
) -> None:
    """And goes on being used: ids go on where they were."""
    assert seaweedfs_server.kind == "seaweedfs"
    told = run_json("migrate", "--to-object-store", s3_url, "--digests", ELASTIC_IMAGES_TO_DATABASE=database_url)
    assert told["finished"]
    assert told["objects"]["copied"] == OBJECTS
    assert told["tables"]["images"] == len(KEYS) - 1
    check_copy(source, target, open_object_store(s3_url))
    settle(target, open_object_store(s3_url), s3_url)
    accounts = Accounts(target, session_seconds=60)
    assert accounts.users.add("second", PASSWORD).id > 1
    assert accounts.log_in("zoë", PASSWORD)
    parts = Parts(target, data)
    parts.put("new", picture(seed=900), ANN)
    migrate(target)


def test_a_system_comes_back_to_one_machine(
    data: Path, source: Engine, target: Engine, database_url: str, tmp_path: Path
) -> None:
    """From every database to SQLite and a folder, after the way there."""
    run_json("migrate", ELASTIC_IMAGES_TO_DATABASE=database_url)
    assert rows(target) == rows(source)
    back = f"sqlite:///{tmp_path}/back.db"
    store = f"file://{tmp_path}/back"
    told = run_json("migrate", "--to-object-store", store, "--to-database", back, ELASTIC_IMAGES_DATABASE=database_url)
    assert told["objects"]["copied"] == OBJECTS
    engine = open_engine(back)
    check_copy(source, engine, open_object_store(store))
    settle(engine, open_object_store(store), store)
    settle(source, open_object_store((data / "objects").as_uri()), "the source, which goes on as it was")
    engine.dispose()
    assert (data / "objects").is_dir()


def test_a_copy_of_the_database_that_was_interrupted_is_begun_anew(
    source: Engine, target: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_table = copying._copy_table
    for stop_at in ("users", "image_changes", "images"):
        with monkeypatch.context() as patch:

            def interrupted(reading, engine, table, progress, stop_at=stop_at):  # type: ignore[no-untyped-def]
                done = copy_table(reading, engine, table, progress)
                if table.name == stop_at:
                    raise KeyboardInterrupt
                return done

            patch.setattr(copying, "_copy_table", interrupted)
            assert run("migrate", ELASTIC_IMAGES_TO_DATABASE=database_url).exit_code != 0
        with pytest.raises(Conflict, match="unfinished copy"):
            migrate(target)
    run_json("migrate", ELASTIC_IMAGES_TO_DATABASE=database_url)
    migrate(target)
    assert rows(target) == rows(source)


def test_another_systems_unfinished_copy_is_left_alone(target: Engine, source: Engine, database_url: str) -> None:
    copying.mark_unfinished(target, "f" * 32)
    result = run("migrate", ELASTIC_IMAGES_TO_DATABASE=database_url)
    assert result.exit_code == 6
    assert "an unfinished copy of another system" in result.output
    assert rows(source)["users"]


def test_a_database_that_is_not_empty_is_refused(target: Engine, data: Path, database_url: str) -> None:
    assert data.is_dir()
    migrate(target)
    Catalog(target)
    with target.begin() as connection:
        connection.execute(insert(import_all().tables["image_usage"]).values(partition=1, images=0, size_bytes=0))
    result = run("migrate", "--to-object-store", f"file://{data}/new", ELASTIC_IMAGES_TO_DATABASE=database_url)
    assert result.exit_code == 6
    assert "is not empty: its table image_usage has rows" in result.output
    assert not (data / "new").exists()


def test_rows_that_the_target_changes_are_noticed(
    target: Engine, data: Path, database_url: str, database_server: DatabaseServer | None
) -> None:
    """A trigger stands for a server that does not keep what it is given."""
    assert data.is_dir()
    if database_server is not None:
        return  # their triggers need other words; what is compared is the same
    migrate(target)
    with target.begin() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER spoil AFTER INSERT ON images BEGIN UPDATE images SET width = 7 WHERE key = NEW.key; END"
            )
        )
    result = run("migrate", ELASTIC_IMAGES_TO_DATABASE=database_url)
    assert result.exit_code == 1
    assert "The table images of the target differs" in result.output


# ---- Objects ----


def test_objects_are_not_copied_twice(source: Engine, data: Path, s3_url: str) -> None:
    """Prepared while the system works; then what came, went and was half copied meanwhile."""
    first = run_json("migrate", "--to-object-store", s3_url, "--prepare")
    assert (first["objects"]["copied"], first["finished"]) == (OBJECTS, False)
    parts = Parts(source, data)
    parts.put("newer", picture(seed=700), ANN)
    parts.delete("k002", ANN)
    parts.acknowledger.mark_done()
    parts.trash.purge("k002")
    parts.collector.collect()
    store = open_object_store(s3_url)
    victim = Catalog(source).find("k003")
    assert victim is not None
    store.delete(victim.object_name)
    store.put([b"half"], victim.object_name)
    told = run_json("migrate", "--to-object-store", s3_url)["objects"]
    assert (told["copied"], told["present"], told["removed"], told["damaged"]) == (2, OBJECTS - 2, 1, [])
    report = fsck(store, source, check_digests=True)
    assert (report.healthy, report.objects) == (True, OBJECTS)


def test_a_target_store_that_is_not_empty_is_refused(data: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/other"
    assert data.is_dir()
    name = open_object_store(url).put([b"somebody's"]).name
    result = run("migrate", "--to-object-store", url)
    assert result.exit_code == 6
    assert "is not empty" in result.output
    assert [info.name for info in open_object_store(url).list()] == [name]


def test_bytes_that_were_lost_before_are_told_and_others_copied(data: Path, source: Engine, tmp_path: Path) -> None:
    lost, spoiled = Catalog(source).find("k010"), Catalog(source).find("k011")
    assert lost is not None
    assert spoiled is not None
    (data / "objects" / lost.object_name[:2] / lost.object_name).unlink()
    file = data / "objects" / spoiled.object_name[:2] / spoiled.object_name
    file.write_bytes(b"X" + file.read_bytes()[1:])
    result = run("migrate", "--to-object-store", f"file://{tmp_path}/new")
    assert result.exit_code == 1, result.output
    assert "BAD  k010" in result.output
    assert "BAD  k011" in result.output
    names = {info.name for info in open_object_store(f"file://{tmp_path}/new").list()}
    assert len(names) == OBJECTS - 2
    assert not names & {lost.object_name, spoiled.object_name}


def test_a_copy_that_is_cut_off_is_taken_up(data: Path, source: Engine, tmp_path: Path) -> None:
    """The disk of the target is full in the middle, and half of an object is left."""
    url = f"file://{tmp_path}/new"
    name = open_object_store((data / "objects").as_uri()).list()[0].name
    (tmp_path / "new").mkdir()
    blocked = tmp_path / "new" / "partial"
    blocked.write_text("a file where a folder must be")
    assert run("migrate", "--to-object-store", url).exit_code == 5
    blocked.unlink()
    blocked.mkdir()
    (blocked / name).write_bytes(b"half" * CHUNK_BYTES)
    told = run_json("migrate", "--to-object-store", url)["objects"]
    assert told["copied"] == OBJECTS
    assert fsck(open_object_store(url), source, check_digests=True).partial == []


def test_a_system_that_runs_is_not_migrated_but_prepared(data: Path, tmp_path: Path) -> None:
    with (data / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = run("migrate", "--to-object-store", f"file://{tmp_path}/new")
        assert result.exit_code == 6
        assert "stop it" in result.output
        assert run("migrate", "--to-object-store", f"file://{tmp_path}/new", "--prepare").exit_code == 0


def test_what_makes_no_sense_is_refused(data: Path) -> None:
    assert run("migrate").exit_code == 2
    result = run("migrate", "--to-object-store", f"file://{data}/objects/")
    assert (result.exit_code, "the object store that already holds the images" in result.output) == (6, True)
    assert run("migrate", "--to-object-store", "ftp://x").exit_code == 2


def test_what_to_set_is_told_without_the_password(data: Path, tmp_path: Path, source: Engine) -> None:
    shown = run("migrate", "--to-database", f"sqlite:///{tmp_path}/new.db").output
    assert f"ELASTIC_IMAGES_DATABASE=sqlite:///{tmp_path}/new.db" in shown
    with source.connect() as connection:
        assert connection.execute(select(func.count()).select_from(import_all().tables["images"])).scalar_one()
    assert data.is_dir()


def test_nothing_is_copied_from_a_store_that_is_away(data: Path, tmp_path: Path) -> None:
    shutil.rmtree(data / "objects")
    done = run("migrate", "--to-object-store", f"file://{tmp_path}/new")
    assert done.exit_code == 5
    assert "absent or empty" in done.output
    assert LocalObjectStore(tmp_path / "new").look().store_id is None
