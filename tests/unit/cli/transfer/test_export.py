"""`export` against a stand-in for web: what is written, what is not, and what happens when things go wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.support import FakeSystem, run, run_json

from elastic_images.cli.transfer.file_names import file_name
from elastic_images.cli.transfer.manifest import FACTS, MANIFEST, UNFINISHED
from elastic_images.core import errors

KEYS = ("a", "A", "a/b", "con", "ü/图.png", "x" * 255, "dot.")


@pytest.fixture
def web(web: FakeSystem) -> FakeSystem:
    web.images = {key: f"bytes of {key}".encode() for key in KEYS}
    web.kept = {"a": {"owner": "ann", "version": 7, "created_at": 1.25, "updated_at": 1_700_000_000.123456}}
    return web


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_text(encoding="utf-8").splitlines()]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_every_image_has_a_file_and_a_line(web: FakeSystem, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "export"
    told = run_json("export", str(folder))
    total = sum(map(len, web.images.values()))
    expected = {"exported": len(KEYS), "same": 0, "gone": 0, "size_bytes": total, "failed": []}
    assert told == {"folder": str(folder), "manifest": str(folder / MANIFEST), **expected}
    assert [line["key"] for line in lines(folder)] == sorted(KEYS)
    for line in lines(folder):
        assert line.keys() == {"key", "file", *FACTS}
        assert line["file"] == file_name(line["key"], "PNG")
        assert (folder / line["file"]).read_bytes() == web.images[line["key"]]
        assert {name: line[name] for name in FACTS} == {name: web._metadata(line["key"])[name] for name in FACTS}
    assert files(folder) == {MANIFEST, *(line["file"] for line in lines(folder))}


@pytest.mark.usefixtures("web")
def test_a_prefix_chooses(tmp_path: Path) -> None:
    result = run("export", str(tmp_path), "--prefix", "a")
    assert result.exit_code == 0
    assert result.stdout == "2 images exported, 0 unchanged, 22 B in all.\n"
    assert [line["key"] for line in lines(tmp_path)] == ["a", "a/b"]


def test_run_again_it_fetches_only_what_has_changed(web: FakeSystem, tmp_path: Path) -> None:
    run_json("export", str(tmp_path))
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path) - {MANIFEST}}
    fetched: list[str] = []
    web.on_image = lambda _method, path: fetched.append(path)
    assert run_json("export", str(tmp_path))["same"] == len(KEYS)
    assert fetched == []
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in before} == before
    web.images["a"] = b"other!"
    damaged = tmp_path / file_name("con", "PNG")
    damaged.write_bytes(damaged.read_bytes()[::-1])
    (tmp_path / file_name("A", "PNG")).unlink()
    del web.images["dot."]
    told = run_json("export", str(tmp_path))
    assert (told["exported"], told["same"]) == (3, len(KEYS) - 4)
    assert {key: (tmp_path / file_name(key, "PNG")).read_bytes() for key in web.images} == web.images
    assert [line["key"] for line in lines(tmp_path)] == sorted(web.images)


def test_an_image_that_is_replaced_meanwhile_has_the_facts_of_its_bytes(web: FakeSystem, tmp_path: Path) -> None:
    def replace(_method: str, path: str) -> None:
        if path == "/images/a":
            web.images["a"] = b"replaced"

    web.on_image = replace
    assert run_json("export", str(tmp_path))["exported"] == len(KEYS)
    [line] = [line for line in lines(tmp_path) if line["key"] == "a"]
    assert (tmp_path / line["file"]).read_bytes() == b"replaced"
    assert line["sha256"] == web._metadata("a")["sha256"]


def test_an_image_that_is_deleted_meanwhile_is_left_out(web: FakeSystem, tmp_path: Path) -> None:
    web.page = 100  # all are listed before the first is fetched
    web.on_image = lambda _method, _path: web.images.pop("con", None)
    told = run_json("export", str(tmp_path), "--jobs", "1")
    assert (told["exported"], told["gone"], told["failed"]) == (len(KEYS) - 1, 1, [])
    assert "con" not in [line["key"] for line in lines(tmp_path)]


def test_an_image_that_is_never_the_same_fails_alone(web: FakeSystem, tmp_path: Path) -> None:
    count = iter(range(100))

    def replace(_method: str, path: str) -> None:
        if path.endswith("/images/a"):
            web.images["a"] = b"%d" % next(count)

    web.on_image = replace
    result = run("export", str(tmp_path), "--json")
    assert result.exit_code == 6
    assert [one["key"] for one in json.loads(result.stdout)["failed"]] == ["a"]
    assert len(lines(tmp_path)) == len(KEYS) - 1


def test_an_image_whose_bytes_are_lost_fails_alone(web: FakeSystem, tmp_path: Path) -> None:
    lost = True

    def refuse(_method: str, path: str) -> None:
        if lost and path == "/images/a":
            raise errors.Unavailable("Storage does not answer.")

    web.on_image = refuse
    result = run("export", str(tmp_path), "--json")
    assert result.exit_code == 5
    assert json.loads(result.stdout)["failed"] == [
        {"key": "a", "error": "unavailable", "detail": "Storage does not answer."}
    ]
    assert [line["key"] for line in lines(tmp_path)] == sorted(set(KEYS) - {"a"})
    assert len(files(tmp_path)) == len(KEYS)
    lost = False
    assert run_json("export", str(tmp_path))["exported"] == 1


def test_an_outage_ends_it_and_it_goes_on_later(web: FakeSystem, tmp_path: Path) -> None:
    run_json("export", str(tmp_path), "--prefix", "A")
    count = 0

    def refuse(_method: str, _path: str) -> None:
        nonlocal count
        count += 1
        if count > 3:
            raise errors.Unavailable("Not now.")

    web.on_image = refuse
    result = run("export", str(tmp_path), "--jobs", "1")
    assert (result.exit_code, result.stdout) == (5, "")
    assert (tmp_path / UNFINISHED).exists()
    assert [line["key"] for line in lines(tmp_path)] == ["A"]
    assert not [name for name in files(tmp_path) if name.endswith(".part") and name != UNFINISHED]
    assert run("import", str(tmp_path)).exit_code == 6
    web.on_image = lambda _method, _path: None
    told = run_json("export", str(tmp_path))
    assert told["exported"] == len(KEYS) - 4
    assert files(tmp_path) == {MANIFEST, *(line["file"] for line in lines(tmp_path))}


@pytest.mark.usefixtures("web")
def test_what_a_killed_export_left_is_cleared_away(tmp_path: Path) -> None:
    name = file_name("a", "PNG")
    shard = tmp_path / Path(name).parent
    shard.mkdir(parents=True)
    for left in (f".{Path(name).name}.part", ".of-an-image-that-is-gone.png.part"):
        (shard / left).write_bytes(b"half")
    (tmp_path / UNFINISHED).write_bytes(b"x" * 10_000)
    run_json("export", str(tmp_path))
    assert files(tmp_path) == {MANIFEST, *(line["file"] for line in lines(tmp_path))}
    assert len(lines(tmp_path)) == len(KEYS)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_nothing_is_written_outside_of_the_folder(web: FakeSystem, tmp_path: Path, level: int) -> None:
    """A link stands where the export's folders, its file, or its file on its way would be."""
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(web.images["a"])
    name = Path(file_name("a", "PNG"))
    place = [folder / "images", (folder / name).parent, folder / name, (folder / name).with_name(f".{name.name}.part")]
    place[level].parent.mkdir(parents=True)
    place[level].symlink_to(outside if level < 2 else outside / "precious")
    result = run("export", str(folder), "--prefix", "a")
    assert (result.exit_code == 0) == (level >= 2), result.output
    if level >= 2:
        assert not (folder / name).is_symlink()
        assert (folder / name).read_bytes() == web.images["a"]
    assert files(outside) == {"precious"}
    assert (outside / "precious").read_bytes() == web.images["a"]


@pytest.mark.usefixtures("web")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert run("export", str(tmp_path / "file")).exit_code == 2
    assert run("export", str(tmp_path / "file" / "below")).exit_code == 1
    (tmp_path / "images").write_text("x")
    result = run("export", str(tmp_path))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert not (tmp_path / MANIFEST).exists()


def test_an_empty_system_has_an_empty_export(web: FakeSystem, tmp_path: Path) -> None:
    web.images = {}
    assert run_json("export", str(tmp_path))["exported"] == 0
    assert lines(tmp_path) == []
    assert run_json("import", str(tmp_path))["imported"] == 0
