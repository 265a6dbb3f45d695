"""A repair or a backup that ends at any step has lost nothing, and the same command finishes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from testing.database_servers import DatabaseServer
from testing.object_servers import S3Server
from testing.step_crashes import Steps, crashes_at, open_stepping
from testing.storage_parts import Parts, picture

from elastic_images.backup.create import BackupMaker
from elastic_images.backup.destination import Destination, names_of
from elastic_images.backup.verify import verify
from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import migrate
from elastic_images.storage.objects.from_url import below, open_object_store
from elastic_images.storage.objects.object_store import QUARANTINE, ObjectMissing, ObjectStore
from elastic_images.storage.upkeep.fsck import Report, fsck
from elastic_images.storage.upkeep.leases import LEASE_SECONDS
from elastic_images.storage.upkeep.repair import Repairer

on_each = pytest.mark.parametrize("database_server", ["sqlite", "postgresql"], indirect=True, scope="session")
KEYS = ("good", "damaged", "lost")
LOOSE = "0123456789abcdef" * 2
LATER = 2 * 86_400.0


@dataclass
class System:
    """Images in a database and an object store, and where copies of the objects are."""

    database: str
    url: str
    folder: Path
    parts: Parts

    @property
    def store(self) -> ObjectStore:
        return self.parts.store

    def name(self, key: str) -> str:
        found = self.parts.catalog.find(key)
        assert found is not None
        return found.object_name


@pytest.fixture(scope="module")
def s3(database_server: DatabaseServer | None, request: pytest.FixtureRequest) -> S3Server | None:
    """What keeps the objects beside a database server; None for a folder beside SQLite."""
    return None if database_server is None else request.getfixturevalue("seaweedfs_server")


@pytest.fixture
def system(s3: S3Server | None, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    url = f"file://{tmp_path}/objects"
    if s3 is not None:
        for name, value in s3.environment().items():
            monkeypatch.setenv(name, value)
        url = f"s3://{s3.fresh_bucket()}/objects"
    engine = open_engine(database_url)
    migrate(engine)
    parts = Parts(engine, tmp_path, store=open_object_store(url))
    for number, key in enumerate(KEYS):
        parts.put(key, picture(seed=number))
    parts.acknowledger.mark_done()
    yield System(database_url, url, tmp_path, parts)
    engine.dispose()


def read(store: ObjectStore, name: str) -> bytes | None:
    with suppress(ObjectMissing), store.open(name) as found:
        return found.read()
    return None


def every_crash(act: Callable[[int, Steps], object]) -> Iterator[int]:
    """Crash at each step in turn; the last round has no crash. Each round gets its number."""
    for number in count():
        crashed = crashes_at(lambda steps, number=number: act(number, steps), number)  # type: ignore[misc]
        yield number
        if not crashed:
            assert number >= 4, "it has steps"
            return


@on_each
def test_a_repair_that_crashes_loses_nothing_and_is_finished_by_the_next(system: System) -> None:
    backup = open_object_store(f"{system.url}-copy")
    names = {key: system.name(key) for key in KEYS}
    for number, key in enumerate(KEYS):
        backup.put([picture(seed=number)], names[key])

    def break_it() -> None:
        system.store.replace(names["damaged"], [b"\0" * 99])
        system.store.delete(names["lost"])
        system.store.delete_many([LOOSE])
        system.store.put([b"loose"], LOOSE)

    def look() -> Report:
        return fsck(system.store, system.parts.engine, now=time.time() + LATER, check_digests=True)

    def repair(store: ObjectStore, database: str) -> None:
        engine = open_engine(database)
        repairer = Repairer(store, engine, backup, clock=lambda: time.time() + LATER)
        repairer.repair(fsck(store, engine, now=time.time() + LATER, check_digests=True), dry_run=False)
        engine.dispose()

    def quarantined() -> bytes | None:
        if system.url.startswith("file"):
            place = system.folder / "objects" / QUARANTINE / LOOSE
            return place.read_bytes() if place.is_file() else None
        return read(open_object_store(below(system.url, QUARANTINE)), LOOSE)

    break_it()
    for _ in every_crash(lambda _, steps: repair(open_stepping(system.url, steps), system.database)):
        assert read(system.store, names["good"]) == picture(seed=0)
        assert read(system.store, names["damaged"]) in (b"\0" * 99, picture(seed=1)), "whole, old or new"
        assert read(system.store, names["lost"]) in (None, picture(seed=2))
        assert b"loose" in (read(system.store, LOOSE), quarantined())
        repair(system.store, system.database)
        report = look()
        assert (report.healthy, report.unreferenced, report.objects) == (True, [], len(KEYS))
        assert quarantined() == b"loose"
        for number, key in enumerate(KEYS):
            assert system.parts.bytes_of(key) == picture(seed=number)
        break_it()


@on_each
def test_a_backup_that_crashes_is_no_backup_and_is_finished_by_the_next(system: System) -> None:
    system.parts.delete("lost")  # into the trash, whose objects are backed up, too

    def place(number: int) -> str:
        return system.url.replace("/objects", f"/backup-{number}")

    def back_up(destination: Destination, late_by: float = 0.0) -> None:
        engine = open_engine(system.database)
        store = open_object_store(system.url)
        BackupMaker(engine, store, destination, jobs=1, clock=lambda: time.time() + late_by).create()
        engine.dispose()

    def crash(number: int, steps: Steps) -> None:
        destination = Destination(place(number))
        destination.objects = open_stepping(below(destination.place, "objects"), steps)
        destination.files = open_stepping(below(destination.place, "files"), steps)
        destination._records = open_stepping(below(destination.place, "sets"), steps)
        back_up(destination)

    for number in every_crash(crash):
        destination = Destination(place(number))
        before = destination.sets()
        back_up(destination, late_by=LEASE_SECONDS + 1)
        sets = destination.sets()
        assert sets[:-1] == before
        assert len(before) <= 1
        for record in sets:
            found = verify(destination, record)
            assert (found.whole, found.objects) == (True, len(KEYS))
        assert sorted(names_of(destination.files)) == sorted(record.dump.name for record in sets)
        assert len(list(names_of(destination.objects))) == len(KEYS)
        for store in (destination.objects, destination.files, destination._records):
            assert list(store.partials()) == []
