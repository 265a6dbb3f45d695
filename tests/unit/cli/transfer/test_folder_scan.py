"""Which files of a folder are offered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from testing.storage_parts import picture

from elastic_images.cli.transfer.folder_scan import find_files, inside, is_image, key_of, shown


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    for place in ("b.png", "a/b/c.png", "a/z.png", "Ü x.png", ".hidden.png", ".git/x.png", "a/.x/y.png"):
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return folder


def test_files_are_found_in_order_and_hidden_ones_passed_over(folder: Path) -> None:
    found = find_files(folder)
    assert found.files == ["a/b/c.png", "a/z.png", "b.png", "Ü x.png"]
    assert found.passed_over == []
    assert find_files(folder / "a" / "b").files == ["c.png"]


def test_links_are_followed_to_files_inside_only(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.png").write_bytes(b"x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.png").write_bytes(b"x")
    links = {
        "in": "a/z.png", "out": "../outside.png", "circle": "circle", "nowhere": "none", "up": "..", "dir": "a",
        "far": str(tmp_path / "other"),
    }  # fmt: skip
    for name, target in links.items():
        (folder / f"link-{name}").symlink_to(target)
    os.mkfifo(folder / "pipe")
    found = find_files(folder)
    assert [place for place in found.files if place.startswith("link")] == ["link-in"]
    assert {place for place, _ in found.passed_over} == {f"link-{name}" for name in links if name != "in"} | {"pipe"}
    assert inside(folder, "link-in") == folder / "link-in"
    for place in ("link-out", "link-circle", "link-nowhere", "link-far/x.png", "link-dir", "none", "a", "pipe"):
        assert inside(folder, place) is None


def test_a_folder_that_is_itself_reached_by_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(folder)
    (folder / "link").symlink_to("b.png")
    assert "link" in find_files(tmp_path / "way").files
    assert inside(tmp_path / "way", "b.png") is not None


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    [place] = find_files(tmp_path).files
    assert shown(place) == "\ufffd.png"


def test_a_name_in_another_normal_form_gives_a_key() -> None:
    assert key_of("u\u0308/o\u0308.png") == "ü/ö.png"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP"])
def test_an_image_is_known_by_its_bytes(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x.txt").write_bytes(picture(kind))
    assert is_image(tmp_path / "x.txt")


@pytest.mark.parametrize("data", [b"", b"BM", b"text", b"<svg/>", b"%PDF-1.4", bytes(100)], ids=repr)
def test_what_is_none_is_told_apart(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.png").write_bytes(data)
    assert not is_image(tmp_path / "x.png")
