"""Every command that reads a database says in one sentence what is wrong with it and what to do."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.unit.cli.support import run, run_json

READERS = (["fsck"], ["backup", "create", "{there}"], ["migrate", "--to-object-store", "file://{there}"])
STARTERS = (["prepare", "--check-database"],)
PAGE_BYTES = 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data folder; tests work on copies."""
    folder = tmp_path_factory.mktemp("sound") / "data"
    folder.mkdir()
    assert run("prepare", ELASTIC_IMAGES_DATA=str(folder)).exit_code == 0
    (folder / "objects").mkdir(exist_ok=True)
    return folder


@pytest.fixture
def data(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    shutil.copytree(sound, folder)
    monkeypatch.setenv("ELASTIC_IMAGES_DATA", str(folder))
    return folder


def refusal(words: list[str], data: Path) -> tuple[int, str]:
    """Exit code and message of a command."""
    result = run(*(word.format(there=data.parent / "there") for word in words))
    assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exception)
    lines = [line for line in result.stderr.splitlines() if line.startswith("elastic-images: ")]
    assert len(lines) == 1, result.stderr
    return result.exit_code, lines[0]


def bad_finding() -> dict[str, str]:
    """What doctor has against the database."""
    result = run("doctor", "--json")
    assert result.exit_code == 1
    found = [one for one in json.loads(result.stdout)["findings"] if one["state"] == "bad"]
    assert [one["area"] for one in found] == ["database"], found
    return dict(found[0])


def test_a_damaged_page_is_named_wherever_it_is(data: Path) -> None:
    file = data / "elastic-images.db"
    whole = file.read_bytes()
    pages = len(whole) // PAGE_BYTES
    assert pages > 20
    for page in (0, 1, pages // 3, pages // 2, pages - 2):
        garbage = random.Random(page).randbytes(PAGE_BYTES)
        file.write_bytes(whole[: page * PAGE_BYTES] + garbage + whole[(page + 1) * PAGE_BYTES :])
        for words in (*READERS, *STARTERS):
            code, said = refusal(words, data)
            assert code == 1, said
            assert "is damaged" in said
            assert "elastic-images restore" in said
            assert "elastic-images.db-wal" in said
        finding = bad_finding()
        assert "is damaged" in finding["what"]
        assert "elastic-images restore" in finding["mend"]


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"no database at all, but long enough" * 200])
def test_a_file_that_is_no_database(data: Path, content: bytes) -> None:
    """An empty file is an empty database, in which no system was ever started."""
    (data / "elastic-images.db").write_bytes(content)
    for words in READERS:
        code, said = refusal(words, data)
        assert (code, "is damaged" in said or "No system was ever started" in said) == (1 if content else 3, True), said


def test_a_newer_schema_is_refused_with_the_way_back(data: Path) -> None:
    file = data / "elastic-images.db"
    shutil.copy(file, data / "elastic-images.db.before-9999")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for words in (*READERS, *STARTERS):
        code, said = refusal(words, data)
        assert code == 6, said
        assert "install that version again" in said
        assert f"put {data}/elastic-images.db.before-9999" in said
    assert "install that version again" in bad_finding()["mend"]
    (data / "elastic-images.db.before-9999").unlink()
    assert "restore a backup" in refusal(READERS[0], data)[1]
    told = run_json("version")
    assert (told["database_schema"], told["database"]) == ("9999", "newer")


def test_an_older_schema_is_refused_where_all_tables_are_needed(data: Path) -> None:
    with sqlite3.connect(data / "elastic-images.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    for words in READERS:
        code, said = refusal(words, data)
        assert (code, "start the system once" in said) == (6, True)
    assert run_json("version")["database"] == "older"


@pytest.mark.parametrize("url", ["postgresql://u:hidden@127.0.0.1:1/n", "mysql://u:hidden@127.0.0.1:1/n"])
def test_a_server_that_is_away(data: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ELASTIC_IMAGES_DATABASE", url)
    for words in (*READERS, *STARTERS):
        code, said = refusal(words, data)
        assert (code, "does not answer" in said, "check the server" in said) == (5, True, True), said
        assert "hidden" not in said
    assert "check the server" in bad_finding()["mend"]
    told = run_json("version")
    assert (told["database_schema"], "does not answer" in told["database"]) == (None, True)


def test_a_database_that_is_a_folder(data: Path) -> None:
    (data / "elastic-images.db").unlink()
    (data / "elastic-images.db").mkdir()
    for words in (*READERS, *STARTERS):
        code, said = refusal(words, data)
        assert (code, "is a folder: name a file" in said) == (2, True), said
    assert "name a file" in bad_finding()["mend"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another user's place")
@pytest.mark.parametrize("mode", [0o600, 0o444])
def test_a_database_of_another_user(data: Path, mode: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert run("fsck").exit_code == 0  # everything is imported now: the other user may not even read the program
    roots = (*tmp_path_factory.getbasetemp().parents, tmp_path_factory.getbasetemp())
    ours = [folder for folder in (*roots, data.parent) if folder.stat().st_mode & 0o1777 == 0o700]
    (data / "elastic-images.db").chmod(mode)
    data.chmod(0o755)
    for secret in ("internal-token", "secret-key"):
        (data / secret).chmod(0o644)
    try:
        for folder in ours:
            folder.chmod(0o711)
        os.seteuid(65534)
        code, said = refusal(["fsck"], data)
    finally:
        os.seteuid(0)
        for folder in ours:
            folder.chmod(0o700)
    assert (code, "may not read and write the database" in said) == (4, True), said


def test_versions_are_named(data: Path) -> None:
    told = run_json("version")
    assert told["database_schema"] == told["schema"]
    assert told["database"] == "current"
    assert told["python"].startswith("3.")
    assert told["version"] in run("version").stdout
    assert "No system was ever started" in run("version", "--data", str(data / "elsewhere")).stdout
