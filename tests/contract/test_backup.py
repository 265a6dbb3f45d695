"""`elastic-images backup` and `restore`, from each kind of database and store to each other kind."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text
from testing.object_servers import S3Server
from testing.storage_parts import ANN, Parts, picture
from tests.unit.cli.support import data_folder, run, run_json

from elastic_images.accounts.accounts import Accounts
from elastic_images.backup.create import BackupMaker
from elastic_images.backup.destination import Destination
from elastic_images.backup.restore import Restorer
from elastic_images.backup.verify import verify
from elastic_images.core.errors import BackupDamaged, Conflict, LinkUsed
from elastic_images.core.upload_nonce import UploadNonce
from elastic_images.core.visibility import VISIBILITIES
from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import migrate
from elastic_images.metrics.backends import LOCAL_FILE
from elastic_images.metrics.local.store import LocalMetricStore
from elastic_images.pool.life_lock import hold
from elastic_images.pool.store import PoolStore
from elastic_images.storage.catalog.catalog import Catalog
from elastic_images.storage.catalog.tables import images
from elastic_images.storage.objects.from_url import open_object_store
from elastic_images.storage.upkeep.adoption import settle
from elastic_images.storage.upkeep.fsck import fsck
from elastic_images.storage.upkeep.leases import UpkeepLeases

KEYS = ["Case1", "case1", "ä/😀", *(f"k{number:03}" for number in range(30))]
PASSWORD = "a good long password"


class System:
    """A system's database and object store, with images and an account."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        migrate(engine)
        self.engine = engine
        self.parts = Parts(engine, folder)
        for number, key in enumerate(KEYS):
            self.parts.put(key, picture(seed=number), ANN, visibility=VISIBILITIES[number % 3])
        Accounts(engine, session_seconds=60).users.add("Zoë", PASSWORD)
        PoolStore(engine).set_config({"policy": "RR", "num_nodes": 3})
        self.store = self.parts.store

    def digests(self) -> dict[str, str]:
        with self.engine.connect() as connection:
            return {row.key: row.sha256 for row in connection.execute(select(images.c.key, images.c.sha256))}


@pytest.fixture
def system(database_url: str, tmp_path: Path) -> Iterator[System]:
    engine = open_engine(database_url)
    yield System(engine, tmp_path / "system")
    engine.dispose()


@pytest.fixture(scope="session", params=["folder", "s3"])
def dest_server(request: pytest.FixtureRequest) -> S3Server | None:
    return request.getfixturevalue("seaweedfs_server") if request.param == "s3" else None


@pytest.fixture
def dest(dest_server: S3Server | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if dest_server is None:
        return str(tmp_path / "backups")
    for name, value in dest_server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{dest_server.fresh_bucket()}/backups"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/restored.db")
    yield engine
    engine.dispose()


def contents(engine: Engine, objects: str) -> dict[str, str]:
    """Each image with the SHA-256 of the bytes that its object really has."""
    store, found = open_object_store(objects), {}
    with engine.connect() as connection:
        for row in connection.execute(select(images.c.key, images.c.object_name)):
            with store.open(row.object_name) as stored:
                found[row.key] = hashlib.sha256(stored.read()).hexdigest()
    return found


def test_a_system_comes_back_as_it_was(system: System, dest: str, fresh: Engine, tmp_path: Path) -> None:
    destination = Destination(dest)
    made = BackupMaker(system.engine, system.store, destination).create()
    assert (made.copied, made.record.objects, made.record.damaged) == (len(KEYS), len(KEYS), [])
    found = verify(destination, made.record)
    assert (found.objects, found.whole) == (len(KEYS), True)
    objects = f"file://{tmp_path}/restored-objects"
    restored = Restorer(destination, fresh, open_object_store(objects)).restore(made.record)
    assert (restored.objects, restored.bad) == (len(KEYS), [])
    assert contents(fresh, objects) == system.digests()
    assert fsck(open_object_store(objects), fresh, check_digests=True).healthy
    settle(fresh, open_object_store(objects), objects)
    assert [user.name for user in Accounts(fresh, session_seconds=60).users.list()] == ["Zoë"]
    assert PoolStore(fresh).read().config == {"policy": "RR", "num_nodes": 3}
    assert [Catalog(fresh).find(key) for key in KEYS] == [Catalog(system.engine).find(key) for key in KEYS]


def test_a_restored_system_goes_on_from_there(system: System, tmp_path: Path, fresh: Engine) -> None:
    destination = Destination(str(tmp_path / "backups"))
    before = Catalog(system.engine).find("k001")
    system.parts.put("hidden", picture(), visibility="private", nonce=UploadNonce("a" * 32, 4_000_000_000))
    system.parts.delete("hidden")
    record = BackupMaker(system.engine, system.store, destination).create().record
    Restorer(destination, fresh, open_object_store(f"file://{tmp_path}/again/objects")).restore(record)
    parts = Parts(fresh, tmp_path / "again")
    for used in (UploadNonce("a" * 32, 4_000_000_000), UploadNonce("b" * 32, 4_000_000_000)):
        with contextlib.nullcontext() if used.nonce[0] == "b" else pytest.raises(LinkUsed):
            parts.put("by a link", picture(), nonce=used)
    assert before is not None
    assert before.facts.visibility == "members"
    parts.restore(1)
    private = parts.catalog.find("hidden")
    assert private is not None
    assert (private.facts.visibility, private.owner_id) == ("private", 1)
    facts, created = parts.put("k001", picture(seed=900), ANN)
    assert (facts.version, facts.visibility, created) == (before.facts.version + 1, "members", False)
    assert parts.bytes_of("k001") == picture(seed=900)


def test_rows_and_objects_are_of_one_moment_while_writes_go_on(system: System, tmp_path: Path, fresh: Engine) -> None:
    destination, stop, failures = Destination(str(tmp_path / "backups")), threading.Event(), list[BaseException]()

    def write() -> None:
        number = 0
        try:
            while not stop.is_set():
                number += 1
                system.parts.put(f"new/{number:04}", picture(seed=number % 200), ANN)
                system.parts.put(f"k{number % 30:03}", picture(seed=300 + number % 200), ANN)
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        records = [BackupMaker(system.engine, system.store, destination).create().record for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    assert failures == []
    for record in records:
        assert verify(destination, record).whole
    objects = f"file://{tmp_path}/restored-objects"
    Restorer(destination, fresh, open_object_store(objects)).restore(records[1])
    report = fsck(open_object_store(objects), fresh, check_digests=True)
    assert report.healthy
    assert report.images == records[1].tables["images"]


def test_a_second_backup_copies_only_what_is_new(system: System, dest: str) -> None:
    destination = Destination(dest)
    BackupMaker(system.engine, system.store, destination).create()
    system.parts.put("k001", picture(seed=700), ANN)
    system.parts.put("new", picture(seed=701), ANN)
    made = BackupMaker(system.engine, system.store, destination).create()
    assert made.copied == 2
    assert made.record.objects == made.copied + made.present
    assert [one.id for one in destination.sets()] == sorted(one.id for one in destination.sets())
    assert destination.find(None).id == made.record.id


def test_what_is_damaged_is_named_and_not_backed_up(system: System, tmp_path: Path, fresh: Engine) -> None:
    for key, ruin in (("k003", "flip"), ("k004", "remove")):
        image = Catalog(system.engine).find(key)
        assert image is not None
        path = tmp_path / "system/objects" / image.object_name[:2] / image.object_name
        if ruin == "flip":
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
        else:
            path.unlink()
    destination = Destination(str(tmp_path / "backups"))
    record = BackupMaker(system.engine, system.store, destination).create().record
    assert record.damaged == ["k003", "k004"]
    assert verify(destination, record).whole
    restored = Restorer(destination, fresh, open_object_store(f"file://{tmp_path}/objects2")).restore(record)
    assert restored.bad == ["k003", "k004"]


def test_a_system_is_repaired_from_a_backup_by_the_command_line(
    system: System, dest: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELASTIC_IMAGES_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ELASTIC_IMAGES_DATABASE", database_url)
    monkeypatch.setenv("ELASTIC_IMAGES_OBJECT_STORE", f"file://{tmp_path}/system/objects")
    (tmp_path / "data").mkdir()
    assert run("backup", "create", dest).exit_code == 0
    for key in ("k003", "k004"):
        image = Catalog(system.engine).find(key)
        assert image is not None
        (tmp_path / "system/objects" / image.object_name[:2] / image.object_name).unlink()
    unused = system.store.put([b"nobody's"]).name
    os.utime(tmp_path / "system/objects" / unused[:2] / unused, (1, 1))
    system.parts.put("not in the backup", picture(seed=800), ANN)
    newer = Catalog(system.engine).find("not in the backup")
    assert newer is not None
    (tmp_path / "system/objects" / newer.object_name[:2] / newer.object_name).write_bytes(b"damaged")

    words = ("fsck", "--repair", "--from", dest)
    planned = run(*words)
    assert planned.exit_code == 1
    assert "k003: would be restored from the backup" in planned.stdout
    assert "Nothing was changed. Add --yes to do it." in planned.stdout
    assert run(*words, "--yes", "--dry-run").stdout == planned.stdout
    done = run(*words, "--yes", "--json")
    assert done.exit_code == 1  # one has no backup
    told = json.loads(done.stdout)["repair"]
    assert sorted(row["key"] for row in told["restored"]) == ["k003", "k004"]
    assert [row["key"] for row in told["not_restored"]] == ["not in the backup"]
    assert [info["name"] for info in told["quarantined"]] == [unused]
    assert "upload it again" in run(*words, "--yes").stdout
    left = json.loads(run("fsck", "--digests", "--json").stdout)
    assert ([row["key"] for row in left["wrong_size"]], left["missing"], left["unreferenced"]) == (
        ["not in the backup"],
        [],
        [],
    )
    assert left["repair"] is None
    for wrong in (("fsck", "--yes"), ("fsck", "--from", dest)):
        assert run(*wrong).exit_code == 2
    assert run("fsck", "--repair", "--from", str(tmp_path / "mistyped")).exit_code == 3


def test_a_damaged_backup_is_found(system: System, tmp_path: Path, fresh: Engine) -> None:
    destination = Destination(str(tmp_path / "backups"))
    record = BackupMaker(system.engine, system.store, destination).create().record
    image = Catalog(system.engine).find("k005")
    assert image is not None
    path = tmp_path / "backups/objects" / image.object_name[:2] / image.object_name
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert verify(destination, record).bad == ["k005"]
    dump = tmp_path / "backups/files" / record.dump.name[:2] / record.dump.name
    dump.write_bytes(dump.read_bytes()[:-5])
    with pytest.raises(BackupDamaged):
        verify(destination, record)
    with pytest.raises(BackupDamaged):
        Restorer(destination, fresh, open_object_store(f"file://{tmp_path}/objects2")).restore(record)


def test_an_interrupted_backup_is_continued(system: System, tmp_path: Path) -> None:
    destination = Destination(str(tmp_path / "backups"))
    done = 0

    def stop_after_ten(_bytes: int, _all: int) -> None:
        nonlocal done
        done += 1
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        BackupMaker(system.engine, system.store, destination, jobs=1, progress=stop_after_ten).create()
    assert destination.sets() == []
    made = BackupMaker(system.engine, system.store, destination).create()
    assert made.present >= 10
    assert verify(destination, made.record).whole
    assert len(destination.files.list()) == 1


def test_an_interrupted_restore_is_continued(system: System, tmp_path: Path, fresh: Engine) -> None:
    destination = Destination(str(tmp_path / "backups"))
    record = BackupMaker(system.engine, system.store, destination).create().record
    other = BackupMaker(system.engine, system.store, destination).create().record
    objects = f"file://{tmp_path}/objects2"

    def stop(_bytes: int, _all: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Restorer(destination, fresh, open_object_store(objects), jobs=1, progress=stop).restore(record)
    with pytest.raises(Conflict, match="unfinished copy"):
        migrate(fresh)
    with pytest.raises(Conflict):
        Restorer(destination, fresh, open_object_store(objects)).restore(other)
    Restorer(destination, fresh, open_object_store(objects)).restore(record)
    assert contents(fresh, objects) == system.digests()
    with pytest.raises(Conflict, match="not empty"):
        Restorer(destination, fresh, open_object_store(objects)).restore(record)


def test_two_backups_of_a_system_do_not_run_at_once(system: System, tmp_path: Path) -> None:
    leases = UpkeepLeases(system.engine)
    assert leases.acquire("backup", "somebody")
    with pytest.raises(Conflict, match="Another backup"):
        BackupMaker(system.engine, system.store, Destination(str(tmp_path / "backups"))).create()
    leases.release("backup", "somebody")
    BackupMaker(system.engine, system.store, Destination(str(tmp_path / "backups"))).create()


def test_a_set_of_a_newer_version_is_refused(system: System, tmp_path: Path, fresh: Engine) -> None:
    destination = Destination(str(tmp_path / "backups"))
    BackupMaker(system.engine, system.store, destination).create()
    ((file,),) = [list((tmp_path / "backups/sets").glob("*/*"))]
    value = json.loads(file.read_text())
    file.write_text(json.dumps(value | {"revision": "9999"}))
    with pytest.raises(Conflict, match="newer"):
        Restorer(destination, fresh, open_object_store(f"file://{tmp_path}/o")).restore(destination.find(None))
    file.write_text(json.dumps(value | {"format": 2}))
    with pytest.raises(Exception, match="newer"):
        destination.find(None)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = data_folder(tmp_path, monkeypatch)
    engine = open_engine(f"sqlite:///{folder}/elastic-images.db")
    System(engine, folder)
    engine.dispose()
    LocalMetricStore(folder / LOCAL_FILE).close()
    return folder


@pytest.mark.usefixtures("data")
def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dest = str(tmp_path / "backups")
    for _ in range(3):
        made = run_json("backup", "create", dest, "--keep", "2", "--json")
    assert (made["copied"], made["present"], made["removed_sets"]) == (0, len(KEYS), 1)
    assert [one["id"] for one in run_json("backup", "ls", dest, "--json")][-1] == made["set"]["id"]
    assert run_json("backup", "verify", dest, "--json")["whole"] is True
    assert "Everything is there." in run("backup", "verify", dest).output
    again = tmp_path / "again"
    again.mkdir()
    (again / "elastic-images.db-wal").write_bytes(b"left behind by a database that is gone")
    monkeypatch.setenv("ELASTIC_IMAGES_DATA", str(again))
    restored = run_json("restore", dest, "--json")
    assert (restored["objects"], restored["bad"]) == (len(KEYS), [])
    assert (again / LOCAL_FILE).is_file()
    engine = open_engine(f"sqlite:///{again}/elastic-images.db")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA quick_check")).scalar() == "ok"
    engine.dispose()
    refused = run("restore", dest)
    assert refused.exit_code == 6
    assert "not empty" in refused.output
    missing = run("backup", "verify", str(tmp_path / "nothing"))
    assert missing.exit_code == 3


def test_a_killed_backup_does_not_hold_up_the_next_one(data: Path, tmp_path: Path) -> None:
    dest, killed = str(tmp_path / "backups"), "a" * 32
    engine = open_engine(f"sqlite:///{data}/elastic-images.db")
    leases = UpkeepLeases(engine)
    with hold(data / "run" / "backup.lock") as life:
        life.note([killed])
        refused = run("backup", "create", dest)
        assert refused.exit_code == 6
        assert "Another backup is running" in refused.output
    assert leases.acquire("backup", killed)
    assert run("backup", "create", dest).exit_code == 0
    assert leases.acquire("backup", "on another machine")
    refused = run("backup", "create", dest)
    assert refused.exit_code == 6
    assert "killed less than two minutes ago" in refused.output
    engine.dispose()
