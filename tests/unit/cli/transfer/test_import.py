"""`import` against a stand-in for web: keys, conflicts, what is left aside, restoring an export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from testing.storage_parts import picture
from tests.unit.cli.support import FakeSystem, run, run_json

from elastic_images.cli.transfer.file_names import file_name
from elastic_images.cli.transfer.manifest import FACTS, MANIFEST
from elastic_images.core import errors

NOTHING: dict[str, Any] = {
    "imported": 0, "replaced": 0, "same": 0, "conflicts": [], "not_images": [], "passed_over": [], "failed": [],
    "other_facts": [],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images, one of them under a name in another normal form, and two other files."""
    folder = tmp_path / "folder"
    for number, place in enumerate(("a.png", "b/c/d.jpg", "b/u\u0308.png", "no suffix")):
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(seed=number))
    (folder / "b" / "notes.png").write_text("no image")
    (folder / ".hidden.png").write_bytes(picture(seed=99))
    return folder


@pytest.fixture
def export(web: FakeSystem, tmp_path: Path) -> Path:
    """An export of three images; the system is empty again."""
    web.images = {key: picture(seed=number) for number, key in enumerate(("a", "A", "a/b"))}
    facts = {"owner": "ann", "version": 7, "created_at": 1.25, "updated_at": 1_700_000_000.123456}
    web.kept = {"a": facts | {"visibility": "private"}}
    run_json("export", str(tmp_path / "export"))
    web.images, web.kept = {}, {}
    return tmp_path / "export"


def test_keys_are_the_paths(web: FakeSystem, folder: Path) -> None:
    assert run_json("import", str(folder)) == NOTHING | {"imported": 4, "not_images": ["b/notes.png"]}
    assert sorted(web.images) == ["a.png", "b/c/d.jpg", "b/ü.png", "no suffix"]
    assert web.images["b/c/d.jpg"] == picture(seed=1)
    assert [facts for facts in web.kept.values() if facts] == []


def test_run_again_it_does_nothing(web: FakeSystem, folder: Path) -> None:
    run_json("import", str(folder))
    asked: list[str] = []
    web.on_image = lambda method, _path: asked.append(method)
    assert run_json("import", str(folder)) == NOTHING | {"same": 4, "not_images": ["b/notes.png"]}
    assert set(asked) == {"GET"}


def test_a_prefix_stands_before_each_key(web: FakeSystem, folder: Path) -> None:
    assert run_json("import", str(folder), "--prefix", "mine/")["imported"] == 4
    assert all(key.startswith("mine/") for key in web.images)
    result = run("import", str(folder), "--prefix", "/x")
    assert result.exit_code == 2
    assert "slash" in result.stderr


def test_a_key_with_other_bytes_is_left_and_told(web: FakeSystem, folder: Path) -> None:
    web.images["a.png"] = b"other"
    result = run("import", str(folder), "--json")
    assert result.exit_code == 6
    told = json.loads(result.stdout)
    assert (told["imported"], told["conflicts"]) == (3, [{"file": "a.png", "key": "a.png"}])
    assert web.images["a.png"] == b"other"
    assert "a.png: skipped, a.png is a different image" in result.stderr


def test_a_key_with_other_bytes_is_replaced_where_that_is_wanted(web: FakeSystem, folder: Path) -> None:
    web.images["a.png"] = b"other"
    told = run_json("import", str(folder), "--on-conflict", "replace")
    assert (told["imported"], told["replaced"], told["conflicts"]) == (3, 1, [])
    assert web.images["a.png"] == picture(seed=0)


def test_a_key_with_other_bytes_ends_it_where_that_is_wanted(web: FakeSystem, folder: Path) -> None:
    web.images["a.png"] = b"other"
    result = run("import", str(folder), "--on-conflict", "fail", "--jobs", "1")
    assert (result.exit_code, result.stdout) == (6, "")
    assert "'a.png' already holds a different image" in result.stderr
    assert web.images["a.png"] == b"other"


def test_somebody_else_stores_between_look_and_write(web: FakeSystem, folder: Path) -> None:
    def store(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("a.png"):
            web.images["a.png"] = b"first"

    web.on_image = store
    result = run("import", str(folder), "--json")
    assert result.exit_code == 6
    assert web.images["a.png"] == b"first"


def test_what_is_stored_but_not_acknowledged_is_not_stored_twice(web: FakeSystem, folder: Path) -> None:
    def break_off(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("a.png") and "a.png" not in web.images:
            web.images["a.png"] = picture(seed=0)
            raise errors.Unavailable("The caches were not reached.")

    web.on_image = break_off
    told = run_json("import", str(folder))
    assert (told["imported"] + told["same"], told["failed"]) == (4, [])


def test_a_file_that_is_refused_fails_alone(web: FakeSystem, folder: Path) -> None:
    web.refuse = {"a.png": errors.BrokenImage("It cannot be decoded.")}
    result = run("import", str(folder), "--json")
    assert result.exit_code == 7
    assert json.loads(result.stdout)["failed"] == [
        {"file": "a.png", "key": "a.png", "error": "broken-image", "detail": "It cannot be decoded."}
    ]
    assert len(web.images) == 3
    web.images["no suffix"] = b"other"
    assert run("import", str(folder)).exit_code == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Forbidden("This token may not write."), 4),
        (errors.Unauthenticated("No."), 4),
        (errors.OutOfSpace("No room."), 1),
        (errors.Unavailable("Not now."), 5),
    ],
    ids=lambda value: getattr(value, "slug", str(value)),
)
def test_what_every_file_would_meet_ends_it(
    web: FakeSystem, folder: Path, error: errors.ElasticImagesError, code: int
) -> None:
    asked: list[str] = []
    web.on_image = lambda _method, path: asked.append(path)
    web.refuse = dict.fromkeys(("a.png", "b/c/d.jpg", "b/ü.png", "no suffix"), error)
    result = run("import", str(folder), "--jobs", "1")
    assert (result.exit_code, result.stdout) == (code, "")
    assert str(error) in result.stderr or code == 5
    assert "import stopped; run it again to resume: 0 images imported" in result.stderr
    assert {path.rpartition("/images/")[2] for path in asked} <= {"a.png", "b/c/d.jpg"}


def test_an_image_of_somebody_else_fails_alone(web: FakeSystem, folder: Path) -> None:
    web.images["a.png"] = b"other"
    web.refuse = {"a.png": errors.Forbidden("This image belongs to another user.")}
    result = run("import", str(folder), "--on-conflict", "replace", "--json")
    assert result.exit_code == 4
    assert len(web.images) == 4


def test_names_that_are_no_keys_and_names_that_look_the_same(web: FakeSystem, folder: Path) -> None:
    (folder / "b" / "ü.png").write_bytes(picture(seed=50))
    (folder / "a\nb.png").write_bytes(picture(seed=51))
    (folder / ("x" * 250 + ".gif")).write_bytes(picture(seed=52))
    long = Path("/".join(["y" * 100] * 3))
    (folder / long.parent).mkdir(parents=True)
    (folder / long).write_bytes(picture(seed=53))
    result = run("import", str(folder), "--json")
    assert result.exit_code == 1
    failed = {one["file"]: one["error"] for one in json.loads(result.stdout)["failed"]}
    assert failed == {"a\nb.png": "invalid-key", str(long): "invalid-key", "b/ü.png": "conflict"}
    assert web.images["b/ü.png"] == picture(seed=2)


def test_an_export_is_restored_fact_for_fact(web: FakeSystem, export: Path) -> None:
    assert run_json("import", str(export)) == NOTHING | {"imported": 3}
    assert web.images == {key: picture(seed=number) for number, key in enumerate(("a", "A", "a/b"))}
    kept = {"owner": "ann", "version": 7, "created_at": 1.25, "updated_at": 1_700_000_000.123456}
    assert web.kept["a"] == kept | {"visibility": "private"}
    assert run_json("import", str(export)) == NOTHING | {"same": 3}
    shutil.rmtree(export / "images")
    (export / MANIFEST).unlink()
    run_json("export", str(export))
    [line] = [line for line in map(json.loads, (export / MANIFEST).read_text().splitlines()) if line["key"] == "a"]
    kept = web.kept["a"]
    assert {name: line[name] for name in kept} == kept


def test_who_may_see_an_image_is_restored(web: FakeSystem, tmp_path: Path) -> None:
    web.images, web.kept = {"a": picture(seed=0)}, {"a": {"visibility": "private"}}
    run_json("export", str(tmp_path))
    web.images, web.kept = {}, {}
    assert run_json("import", str(tmp_path)) == NOTHING | {"imported": 1}
    assert web.kept["a"]["visibility"] == "private"
    (web.images, web.kept) = {}, {}
    run_json("import", str(tmp_path), "--without-facts")
    assert "visibility" not in web.kept["a"]


def test_an_export_is_restored_below_a_prefix(web: FakeSystem, export: Path) -> None:
    assert run_json("import", str(export), "--prefix", "old/")["imported"] == 3
    assert sorted(web.images) == ["old/A", "old/a", "old/a/b"]
    assert web.kept["old/a"]["owner"] == "ann"


def test_facts_that_could_not_be_kept_are_told(web: FakeSystem, export: Path) -> None:
    web.images["a"] = picture(seed=0)
    web.kept["a"] = {"version": 8, "owner": "ann", "created_at": 1.25, "updated_at": 5.0, "visibility": "private"}
    result = run("import", str(export), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["other_facts"] == [{"key": "a", "facts": ["version", "updated_at"]}]
    assert "a: differs from the manifest: version, updated_at" in result.stderr


def test_without_facts_an_export_is_images_like_others(web: FakeSystem, export: Path) -> None:
    assert run_json("import", str(export), "--without-facts")["imported"] == 3
    assert [facts for facts in web.kept.values() if facts] == []


def test_who_may_not_restore_is_told_what_he_may_do(web: FakeSystem, export: Path) -> None:
    web.refuse = dict.fromkeys(("a", "A", "a/b"), errors.Forbidden("X-Keep-Facts is for administrators."))
    result = run("import", str(export))
    assert result.exit_code == 4
    assert "--without-facts" in result.stderr


def test_a_damaged_and_a_missing_file_fail_alone(web: FakeSystem, export: Path, tmp_path: Path) -> None:
    (export / file_name("a", "PNG")).write_bytes(picture(seed=77))
    gone = export / file_name("A", "PNG")
    gone.rename(tmp_path / "moved.png")
    gone.symlink_to(tmp_path / "moved.png")
    result = run("import", str(export), "--json")
    assert result.exit_code == 1
    failed = {one["key"]: one["error"] for one in json.loads(result.stdout)["failed"]}
    assert failed == {"a": "damaged-file", "A": "not-found"}
    assert list(web.images) == ["a/b"]


def test_a_manifest_that_makes_no_sense_imports_nothing(web: FakeSystem, export: Path) -> None:
    manifest = export / MANIFEST
    manifest.write_text(manifest.read_text() + '{"key": "x"}\n')
    result = run("import", str(export))
    assert result.exit_code == 2
    assert "line 4" in result.stderr
    assert web.images == {}


def test_the_facts_of_a_manifest_are_all_of_an_image(export: Path) -> None:
    for line in map(json.loads, (export / MANIFEST).read_text().splitlines()):
        assert line.keys() == {"key", "file", *FACTS}


@pytest.mark.usefixtures("web")
def test_a_folder_that_is_none(tmp_path: Path) -> None:
    assert run("import", str(tmp_path / "none")).exit_code == 2
    assert run_json("import", str(tmp_path)) == NOTHING
