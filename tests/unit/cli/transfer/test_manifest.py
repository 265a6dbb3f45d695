"""The manifest: written whole or not at all; whatever it says, nothing outside of its folder is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.cli.transfer.manifest import (
    FACTS,
    MANIFEST,
    UNFINISHED,
    ManifestWriter,
    check_manifest,
    has_manifest,
    read_manifest,
)
from elastic_images.core.errors import Conflict, InvalidRequest
from elastic_images.core.image_facts import DETAILS, ImageFacts

IMAGE: dict[str, Any] = {
    "key": "a/ü\u2028.png",
    "size_bytes": 3,
    "sha256": "ab" * 32,
    "content_type": "image/png",
    "format": "PNG",
    "width": 1,
    "height": 2,
    "frames": 1,
    "owner": "ann",
    "version": 3,
    "visibility": "members",
    "created_at": 1.1,
    "updated_at": 1_700_000_000.123456,
    "etag": "...",
    "partition": 4,
    "node": 1,
}


def write(folder: Path, *lines: object) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / MANIFEST).write_text("\n".join(texts) + "\n")


def line(**changes: Any) -> dict[str, Any]:
    facts = {name: IMAGE[name] for name in ("key", *FACTS)}
    return {**facts, "file": "images/ab/x.png"} | changes


def test_every_fact_is_in_it() -> None:
    assert {"key", *FACTS, *DETAILS} == set(ImageFacts.__slots__)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    with ManifestWriter(tmp_path) as manifest:
        manifest.add("images/ab/x.png", IMAGE)
        manifest.add("images/ab/y.png", IMAGE | {"key": "b", "owner": None})
        assert not (tmp_path / MANIFEST).exists()
        assert manifest.finish() == tmp_path / MANIFEST
    assert has_manifest(tmp_path)
    assert check_manifest(tmp_path) == 2
    first, second = read_manifest(tmp_path)
    assert (first.key, first.file, first.sha256) == (IMAGE["key"], "images/ab/x.png", "ab" * 32)
    assert dict(first.facts) == {name: IMAGE[name] for name in FACTS}
    assert (first.kept.owner, first.kept.updated_at, first.kept.version) == ("ann", 1_700_000_000.123456, 3)
    assert second.kept.owner is None


def test_an_export_from_before_visibility_is_read(tmp_path: Path) -> None:
    old = {name: value for name, value in line().items() if name != "visibility"}
    write(tmp_path, old, line(key="b", visibility="private"))
    first, second = read_manifest(tmp_path)
    assert ("visibility" not in first.facts, first.kept.visibility) == (True, None)
    assert (second.facts["visibility"], second.kept.visibility) == ("private", "private")
    with ManifestWriter(tmp_path) as manifest:
        manifest.add("images/ab/x.png", {name: value for name, value in IMAGE.items() if name != "visibility"})


def test_an_export_that_is_left_is_no_whole_one(tmp_path: Path) -> None:
    assert not has_manifest(tmp_path)
    write(tmp_path, line())
    before = (tmp_path / MANIFEST).read_bytes()
    with ManifestWriter(tmp_path) as manifest:
        manifest.add("images/ab/x.png", IMAGE)
    assert (tmp_path / MANIFEST).read_bytes() == before
    with pytest.raises(Conflict):
        has_manifest(tmp_path)
    with ManifestWriter(tmp_path) as manifest:
        manifest.finish()
    assert has_manifest(tmp_path)
    assert check_manifest(tmp_path) == 0


def test_two_do_not_write_at_a_time(tmp_path: Path) -> None:
    with ManifestWriter(tmp_path) as first:
        with pytest.raises(Conflict):
            ManifestWriter(tmp_path)
        first.add("images/ab/x.png", IMAGE)
        first.finish()
    assert check_manifest(tmp_path) == 1


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / UNFINISHED).symlink_to(outside)
    with pytest.raises(OSError, match="symbolic link"):
        ManifestWriter(folder)
    assert outside.read_text() == "precious"


@pytest.mark.parametrize("file", ["/etc/x", "../x", "a/../../x", "a//b", "./a", "a/", "", "a\0b", "\ud800", 5, None])
def test_a_file_outside_of_the_folder_is_refused(tmp_path: Path, file: object) -> None:
    write(tmp_path, line(), line(key="b", file=file))
    if file in (5, None):  # a strange name, but one inside
        assert check_manifest(tmp_path) == 2
        return
    with pytest.raises(InvalidRequest, match="line 2"):
        check_manifest(tmp_path)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "{",
        "null",
        "[]",
        "7",
        "[" * 100_000,
        *[
            {name: value for name, value in line().items() if name != missing}
            for missing in line()
            if missing != "visibility"
        ],
        line(key=""),
        line(key="../x"),
        line(key=5),
        line(key="u\u0308"),
        line(sha256="x" * 64),
        line(sha256=None),
        line(version=0),
        line(updated_at=float("nan")),
        line(created_at=1e12),
        line(owner=5),
        line(visibility="secret"),
        line(visibility=5),
    ],
    ids=lambda bad: str(bad)[:40],
)
def test_what_is_no_images_line_is_refused(tmp_path: Path, bad: object) -> None:
    write(tmp_path, line(key="first"), bad)
    with pytest.raises(InvalidRequest, match="line 2"):
        check_manifest(tmp_path)


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path, line(), line(key="b"), line(file="images/cd/y.png"))
    with pytest.raises(InvalidRequest, match=r"line 3: duplicate key"):
        check_manifest(tmp_path)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / MANIFEST).write_bytes(b"x" + data)
    with pytest.raises(InvalidRequest):
        check_manifest(folder)
