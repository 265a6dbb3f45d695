"""`fsck --repair` brings back what a backup has, moves away what nothing needs, and can be interrupted anywhere."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from testing.storage_parts import Parts, picture

from elastic_images.core.errors import Conflict, Unavailable
from elastic_images.database.copying import mark_unfinished
from elastic_images.database.engine import write_transaction
from elastic_images.storage.bad_objects import BadObjects
from elastic_images.storage.catalog.tables import bad_objects, image_changes, trash
from elastic_images.storage.objects.local import LocalObjectStore
from elastic_images.storage.upkeep.fsck import Report, fsck
from elastic_images.storage.upkeep.repair import Repaired, Repairer
from elastic_images.storage.verified import BadObject

DAY = 86_400.0


def name_of(parts: Parts, key: str) -> str:
    found = parts.catalog.find(key)
    assert found is not None
    return found.object_name


def file_of(parts: Parts, name: str) -> Path:
    return parts.folder / "objects" / name[:2] / name


def backed_up(parts: Parts) -> LocalObjectStore:
    """A store with the same objects."""
    copy = LocalObjectStore(parts.folder / "backup")
    for info in parts.store.list():
        with parts.store.open(info.name) as found:
            copy.put([found.read()], info.name)
    return copy


def garbage(parts: Parts, *, days: float = 2) -> str:
    name = parts.store.put([b"nobody's"]).name
    os.utime(file_of(parts, name), (time.time() - days * DAY,) * 2)
    return name


def check(parts: Parts, *, check_digests: bool = True) -> Report:
    return fsck(parts.store, parts.engine, check_digests=check_digests)


def repair(parts: Parts, backup: LocalObjectStore | None = None, *, dry_run: bool = False) -> Repaired:
    return Repairer(parts.store, parts.engine, backup).repair(check(parts), dry_run=dry_run)


def recorded(parts: Parts) -> set[str]:
    with parts.engine.connect() as connection:
        return set(connection.execute(select(bad_objects.c.object_name)).scalars())


def test_damaged_and_lost_objects_come_back(parts: Parts) -> None:
    """Of images and of the trash; their records of damage go."""
    for number in range(6):
        parts.put(f"k{number}", picture(seed=number))
    names = {key: name_of(parts, key) for key in ("k0", "k1", "k2", "k3", "k4")}
    parts.delete("k4")
    backup = backed_up(parts)
    file_of(parts, names["k0"]).unlink()
    file_of(parts, names["k1"]).write_bytes(b"short")
    flipped = bytearray(file_of(parts, names["k2"]).read_bytes())
    flipped[50] ^= 1
    file_of(parts, names["k2"]).write_bytes(flipped)
    file_of(parts, names["k3"]).unlink()
    file_of(parts, names["k3"]).mkdir()
    file_of(parts, names["k4"]).unlink()
    BadObjects(parts.engine).record(names["k2"], "k2", BadObject("damaged", "x"))
    report = check(parts)
    assert not report.healthy
    assert [(row.key, row.trash) for row in report.missing if row.trash] == [("k4", True)]

    without = repair(parts)
    assert sorted(row.key for row in without.not_restored) == ["k0", "k1", "k2", "k3", "k4"]
    planned = repair(parts, backup, dry_run=True)
    assert sorted(row.key for row in planned.restored) == ["k0", "k1", "k2", "k3", "k4"]
    assert not check(parts).healthy
    done = repair(parts, backup)
    assert (sorted(row.key for row in done.restored), done.not_restored) == (["k0", "k1", "k2", "k3", "k4"], [])
    assert check(parts).healthy
    assert recorded(parts) == set()
    for number, key in enumerate(("k0", "k1", "k2", "k3", "k4")):
        assert file_of(parts, names[key]).read_bytes() == picture(seed=number)
    assert repair(parts, backup) == Repaired(dry_run=False)


def test_bytes_that_are_damaged_in_the_backup_too_replace_nothing(parts: Parts) -> None:
    parts.put("k0", picture(seed=0))
    parts.put("k1", picture(seed=1))
    names = [name_of(parts, key) for key in ("k0", "k1")]
    backup = backed_up(parts)
    for name in names:
        file_of(parts, name).write_bytes(b"damaged")
    (parts.folder / "backup" / names[0][:2] / names[0]).write_bytes(b"damaged as well")
    backup.delete(names[1])
    done = repair(parts, backup)
    assert (done.restored, sorted(row.key for row in done.not_restored)) == ([], ["k0", "k1"])
    assert [file_of(parts, name).read_bytes() for name in names] == [b"damaged", b"damaged"]
    assert list(parts.store.partials()) == []


def test_a_record_of_damage_is_checked_and_ends_where_it_is_over(parts: Parts) -> None:
    """As after a repair that was interrupted before it removed the record."""
    parts.put("k0", picture(seed=0))
    parts.put("k1", picture(seed=1))
    names = [name_of(parts, key) for key in ("k0", "k1")]
    size = file_of(parts, names[1]).stat().st_size
    file_of(parts, names[1]).write_bytes(b"\0" * size)
    for name, key in zip(names, ("k0", "k1"), strict=True):
        BadObjects(parts.engine).record(name, key, BadObject("damaged", "x"))
    report = check(parts, check_digests=False)
    assert ([row.key for row in report.wrong_digest], report.recovered) == (["k1"], [names[0]])
    assert repair(parts, dry_run=True).cleared == [names[0]]
    assert recorded(parts) == set(names)
    assert repair(parts).cleared == [names[0]]
    assert recorded(parts) == {names[1]}


def test_only_old_garbage_is_moved(parts: Parts) -> None:
    parts.put("k", picture(seed=0))
    parts.put("gone", picture(seed=1))
    parts.delete("gone")
    for info in parts.store.list():
        os.utime(file_of(parts, info.name), (time.time() - 30 * DAY,) * 2)
    old, young = garbage(parts), garbage(parts, days=0.9)
    assert [info.name for info in repair(parts, dry_run=True).quarantined] == [old]
    assert parts.store.stat(old) is not None
    assert [info.name for info in repair(parts).quarantined] == [old]
    assert (parts.folder / "objects" / "quarantine" / old).read_bytes() == b"nobody's"
    assert parts.store.stat(young) is not None
    assert check(parts) == Report(images=1, objects=3, waiting=1, young=check(parts).young)
    assert repair(parts) == Repaired(dry_run=False)


@pytest.mark.parametrize("place", ["images", "trash", "changes", "rewritten"])
def test_what_is_used_again_after_the_report_stays(parts: Parts, place: str) -> None:
    """Each object is looked at anew before it is moved."""
    name = garbage(parts)
    report = check(parts)
    assert [info.name for info in report.unreferenced] == [name]
    parts.put("k", picture())
    with write_transaction(parts.engine) as connection:
        if place == "images":
            from elastic_images.storage.catalog.tables import images

            connection.execute(update(images).values(object_name=name))
        elif place == "trash":
            row = {"key": "t", "version": 1, "size_bytes": 8, "deleted_at": 0, "until": 0}
            connection.execute(insert(trash).values(object_name=name, attempts=0, next_attempt_at=0, **row))
        elif place == "changes":
            connection.execute(update(image_changes).values(old_object=name, state="pending"))
    if place == "rewritten":
        os.utime(file_of(parts, name))
    assert Repairer(parts.store, parts.engine).repair(report, dry_run=False).quarantined == []
    assert file_of(parts, name).exists()


def test_an_interrupted_repair_is_run_again(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        parts.put(f"k{number}", picture(seed=number))
    backup = backed_up(parts)
    for info in parts.store.list():
        file_of(parts, info.name).write_bytes(b"damaged")
    unused = [garbage(parts) for _ in range(3)]
    calls: list[str] = []
    for method in ("replace", "quarantine"):
        real = getattr(parts.store, method)

        def fails(name: str, *rest: object, real: object = real, method: str = method) -> object:
            calls.append(method)
            if calls.count(method) == 2:
                raise Unavailable("away")
            return real(name, *rest)  # type: ignore[operator]

        monkeypatch.setattr(parts.store, method, fails)
    for _ in range(2):
        with pytest.raises(Unavailable):
            repair(parts, backup)
    repair(parts, backup)
    assert check(parts).healthy
    assert check(parts).unreferenced == []
    assert sorted(path.name for path in (parts.folder / "objects" / "quarantine").iterdir()) == sorted(unused)


def test_nothing_is_repaired_while_a_restore_is_unfinished(parts: Parts) -> None:
    """Its objects are there before the rows that refer to them."""
    name = garbage(parts)
    report = check(parts)
    mark_unfinished(parts.engine, "f" * 32)
    with pytest.raises(Conflict, match="finish the restore"):
        Repairer(parts.store, parts.engine).repair(report, dry_run=False)
    assert parts.store.stat(name) is not None
