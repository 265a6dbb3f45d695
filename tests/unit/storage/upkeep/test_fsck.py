"""fsck tells what does not fit, and touches nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from testing.storage_parts import Parts, picture

from elastic_images.storage.upkeep import fsck as fsck_module
from elastic_images.storage.upkeep.fsck import Report, fsck

DAY = 86_400.0


def check(parts: Parts, *, days: float = 2, check_digests: bool = False) -> Report:
    return fsck(parts.store, parts.engine, now=time.time() + days * DAY, check_digests=check_digests)


def object_of(parts: Parts, key: str) -> Path:
    found = parts.catalog.find(key)
    assert found is not None
    return parts.folder / "objects" / found.object_name[:2] / found.object_name


def test_a_healthy_store_is_said_to_be_healthy(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsck_module, "_PAGE", 3)
    assert check(parts) == Report()
    for number in range(10):
        parts.put(f"k{number}", picture(seed=number))
    parts.put("k0", picture(seed=90))
    parts.delete("k1")
    report = check(parts, check_digests=True)
    assert report == Report(images=9, objects=11, waiting=2)
    assert report.healthy


def test_garbage_is_told_by_its_age(parts: Parts) -> None:
    parts.put("k", picture())
    names = [parts.store.put([b"nobody's"]).name for _ in range(2)]
    old = parts.folder / "objects" / names[0][:2] / names[0]
    os.utime(old, (time.time() - 2 * DAY,) * 2)
    (parts.folder / "objects" / "partial" / ("d" * 32)).write_bytes(b"half")
    report = check(parts, days=0)
    assert [info.name for info in report.unreferenced] == [names[0]]
    assert [info.name for info in report.young] == [names[1]]
    assert [(info.name, info.size_bytes) for info in report.partial] == [("d" * 32, 4)]
    assert report.healthy
    assert len(parts.objects()) == 4


def test_lost_and_changed_bytes_are_named(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsck_module, "_PAGE", 2)
    for number in range(8):
        parts.put(f"k{number}", picture(seed=number))
    object_of(parts, "k1").unlink()
    object_of(parts, "k2").write_bytes(b"short")
    path = object_of(parts, "k3")
    path.write_bytes(b"\0" * path.stat().st_size)
    report = check(parts)
    assert [one.key for one in report.missing] == ["k1"]
    assert [one.key for one in report.wrong_size] == ["k2"]
    assert report.wrong_digest == []
    assert not report.healthy
    deep = check(parts, check_digests=True)
    assert [one.key for one in deep.wrong_digest] == ["k3"]
    told = json.loads(json.dumps(deep.to_json()))
    assert told["healthy"] is False
    assert told["missing"][0]["key"] == "k1"


def test_a_store_that_lost_everything(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsck_module, "_PAGE", 2)
    for number in range(5):
        parts.put(f"k{number}", picture(seed=number))
        object_of(parts, f"k{number}").unlink()
    report = check(parts)
    assert sorted(one.key for one in report.missing) == [f"k{number}" for number in range(5)]
    assert (report.images, report.objects) == (5, 0)


def test_writes_under_way_raise_no_false_alarm(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the store's page and the catalog's, an image is replaced and another one comes."""
    parts.put("k", picture(seed=1))
    real = parts.store.list
    calls: list[int] = []

    def busy(after: str = "", limit: int = 1000) -> object:
        page = real(after, limit)
        if not calls:
            calls.append(1)
            parts.put("k", picture(seed=2))
            parts.put("new", picture(seed=3))
        return page

    monkeypatch.setattr(parts.store, "list", busy)
    report = check(parts)
    assert report.healthy
    assert report.unreferenced == []
