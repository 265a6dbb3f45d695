"""`upload`, `get`, `ls`, `rm` against a stand-in for web."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.cli.support import TOKEN, FakeSystem, fake_system, run, run_json

from elastic_images.cli import connecting
from elastic_images.core import errors


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSystem]:
    with fake_system() as system:
        monkeypatch.setenv("ELASTIC_IMAGES_URL", system.url)
        monkeypatch.setenv("ELASTIC_IMAGES_TOKEN", TOKEN)
        yield system


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Six files with contents of their own."""
    for number in range(6):
        (tmp_path / f"photo {number}.png").write_bytes(b"bytes" * (number + 1))
    return sorted(map(str, tmp_path.iterdir()))


def test_the_key_is_the_files_name(web: FakeSystem, files: list[str]) -> None:
    web.meet = threading.Barrier(2)  # passed only by two uploads at a time
    result = run("upload", *files)
    assert result.exit_code == 0, result.output
    assert sorted(web.images) == [f"photo {number}.png" for number in range(6)]
    assert web.images["photo 2.png"] == b"bytes" * 3
    assert len(result.stdout.splitlines()) == 6
    assert web.most_at_a_time <= 4


def test_a_key_of_ones_own(web: FakeSystem, files: list[str]) -> None:
    assert run("upload", files[0], "--key", "a/b c/ü").exit_code == 0
    assert run("upload", files[1], "--prefix", "dir/").exit_code == 0
    assert set(web.images) == {"a/b c/ü", "dir/photo 1.png"}
    result = run("upload", files[0], files[1], "--key", "x")
    assert result.exit_code == 2
    assert "single file" in result.stderr


def test_who_may_see_what_is_uploaded(web: FakeSystem, files: list[str]) -> None:
    (uploaded,) = run_json("upload", files[0], "--visibility", "members")["uploaded"]
    assert uploaded["image"]["visibility"] == web.kept["photo 0.png"]["visibility"] == "members"
    assert "members" in run("ls", "--long").stdout
    assert run("upload", files[0], "--visibility", "secret").exit_code == 2


def test_a_name_in_another_normal_form_becomes_a_key(web: FakeSystem, tmp_path: Path) -> None:
    file = tmp_path / "u\u0308.png"
    file.write_bytes(b"x")
    assert run("upload", str(file)).exit_code == 0
    assert list(web.images) == ["ü.png"]


def test_json_of_an_upload(web: FakeSystem, files: list[str]) -> None:
    web.refuse["photo 1.png"] = errors.NotAnImage("These bytes are no image.")
    first = run("upload", "--json", *files[:2])
    assert first.exit_code == 7
    found = json.loads(first.stdout)
    assert [(one["file"], one["created"], one["image"]["key"]) for one in found["uploaded"]] == [
        (files[0], True, "photo 0.png")
    ]
    assert found["failed"] == [
        {"file": files[1], "key": "photo 1.png", "error": "not-an-image", "detail": "These bytes are no image."}
    ]
    assert f"{files[1]}: These bytes are no image." in first.stderr
    again = run_json("upload", files[0])
    assert [one["created"] for one in again["uploaded"]] == [False]
    assert again["failed"] == []


def test_failures_of_several_kinds_are_exit_code_1(web: FakeSystem, files: list[str]) -> None:
    web.refuse = {"photo 0.png": errors.NotAnImage("no"), "photo 1.png": errors.Forbidden("no")}
    assert run("upload", *files).exit_code == 1
    assert len(web.images) == 4


def test_a_file_that_is_not_there_and_a_key_that_is_none(web: FakeSystem, files: list[str]) -> None:
    assert run("upload", "/no/such/file").exit_code == 2
    assert run("upload", files[0], "--key", "a//b").exit_code == 2
    assert run("upload", files[0], "--key", "x" * 256).exit_code == 2
    assert web.images == {}


def test_without_a_valid_token_it_is_refused(web: FakeSystem, files: list[str]) -> None:
    for token in ("wrong", ""):
        result = run("upload", files[0], ELASTIC_IMAGES_TOKEN=token)
        assert result.exit_code == 4
        assert "No valid token." in result.stderr
    assert web.images == {}
    assert web.tokens[-1] == ""


@pytest.mark.usefixtures("web")
def test_the_token_in_the_data_folder_is_found_and_stays_on_this_machine(files: list[str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "cli-token").write_text(TOKEN + "\n")
    known = {"ELASTIC_IMAGES_TOKEN": "", "ELASTIC_IMAGES_DATA": str(data)}
    assert run("upload", files[0], **known).exit_code == 0
    from elastic_images.cli.connecting import _kept_token
    from elastic_images.settings import Settings

    settings = Settings.load({"data": str(data)}, {})
    assert _kept_token(settings, "http://localhost:1") == TOKEN
    assert _kept_token(settings, "http://images.example.com") is None
    assert _kept_token(settings, "http://127.0.0.1.example.com") is None


def test_nobody_answers(files: list[str]) -> None:
    for words in (["ls"], ["upload", files[0]], ["get", "k"], ["rm", "k"], ["pool", "status"]):
        result = run(*words, "--url", "http://127.0.0.1:1")
        assert result.exit_code == 5, words
        assert "does not answer" in result.stderr
    assert run("ls", "--url", "ftp://x").exit_code == 2


def test_get_writes_a_file_or_standard_output(web: FakeSystem, tmp_path: Path) -> None:
    web.images["a/b ü"] = bytes(range(256)) * 9000
    file = tmp_path / "out"
    assert run("get", "a/b ü", "--output", str(file)).exit_code == 0
    assert file.read_bytes() == web.images["a/b ü"]
    done = subprocess.run([sys.executable, "-m", "elastic_images", "get", "a/b ü"], capture_output=True, check=True)
    assert done.stdout == web.images["a/b ü"]


def test_get_replaces_a_file_only_by_a_whole_image(
    web: FakeSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "SHORT_SECONDS", 0.3)
    web.images["k"] = b"new"
    file = tmp_path / "out"
    file.write_bytes(b"old")
    web.cut_off = True
    assert run("get", "k", "-o", str(file)).exit_code == 5
    web.cut_off = False
    assert run("get", "unknown", "-o", str(file)).exit_code == 3
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert run("get", "k", "-o", str(tmp_path / "no" / "folder")).exit_code == 1


def test_ls_follows_every_page(web: FakeSystem) -> None:
    web.images = {f"{letter}/{number}": b"x" for letter in "ab" for number in range(5)}
    assert run("ls").stdout.split() == sorted(web.images)
    assert run("ls", "b/").stdout.split() == [f"b/{number}" for number in range(5)]
    assert run("ls", "c/").stdout == ""
    assert [image["key"] for image in run_json("ls", "a/")["images"]] == [f"a/{number}" for number in range(5)]
    heading, first, *_ = run("ls", "--long").stdout.splitlines()
    assert heading.split()[:3] == ["KEY", "SIZE", "FORMAT"]
    assert first.split() == ["a/0", "1", "B", "PNG", "3x2", "1970-01-01", "00:00", "public"]


ODD_KEYS = [
    "a\u200db",
    "family/\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "right\u202eleft",
    "soft\u00adhyphen",
    "\ue000",
]


def test_keys_go_into_a_pipe_byte_for_byte(web: FakeSystem) -> None:
    web.images = dict.fromkeys(ODD_KEYS, b"x")
    assert run("ls").stdout.splitlines() == sorted(ODD_KEYS)


def test_an_output_that_cannot_encode_a_key_escapes_it(web: FakeSystem) -> None:
    web.images = {"ä/\U0001f600": b"x"}
    environ = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-m", "elastic_images", "ls"]
    done = subprocess.run(command, env=environ, capture_output=True, check=True)
    assert done.stdout == "ä/\\U0001f600\n".encode("latin-1")


def test_a_terminal_is_not_fooled(web: FakeSystem) -> None:
    web.images = {"right\u202eleft": b"x", "a\u200db": b"x"}
    ours, theirs = os.openpty()
    try:
        subprocess.run([sys.executable, "-m", "elastic_images", "ls"], stdout=theirs, check=True)
        shown = os.read(ours, 1000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert shown.split() == ["a\u200db", "right\\u202eleft"]


def test_rm_deletes_what_it_can(web: FakeSystem) -> None:
    web.images = {"a": b"1", "b": b"2", "c": b"3"}
    result = run("rm", "a", "unknown", "b", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout) == {
        "deleted": [{"key": "a"}, {"key": "b"}],
        "failed": [{"key": "unknown", "error": "not-found", "detail": "There is no image 'unknown'."}],
    }
    assert set(web.images) == {"c"}


def test_control_characters_play_no_tricks_on_the_terminal(web: FakeSystem) -> None:
    web.images["a\x1b[2Jb"] = b"x"
    assert "\x1b" not in run("ls").stdout
