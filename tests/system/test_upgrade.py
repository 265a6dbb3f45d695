"""Starting on what an earlier version left, and on what a crash or a careless copy left."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import tarfile
from contextlib import closing
from pathlib import Path

from testing.photographs import Photograph
from testing.system import System
from testing.waiting import wait_for
from tests.system.conftest import StartSystem
from tests.system.test_up import refused

from elastic_images.database.migrate import newest_revision

OLD = Path(__file__).parents[1] / "fixtures" / "data-9a22c4c.tar.gz"
"""A data folder as the commit 9a22c4c left it: schema 0002; images uploaded, replaced and deleted, users and tokens.

Made with `PYTHONPATH=OLD/src python -m elastic_images up` and its commands; `run/` is left out.
"""
KEYS = ["blue.png", "green.png", "ordner/grün-🙂.png", "red.png", "teal.png"]
ALICES_TOKEN = "ei_QChqBsKwUXuVkgQI3wMZ4ROO6FP3235bAc8P8z-eGGQ"


def test_a_system_of_an_earlier_version_is_upgraded(start_system: StartSystem, tmp_path: Path) -> None:
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path / "system-0", filter="data")
    before = (tmp_path / "system-0" / "data" / "elastic-images.db").read_bytes()
    system = start_system()
    wait_for(lambda: "Ctrl-C stops it" in system.log_path.read_text(), "it has said everything")
    copy = system.data / f"elastic-images.db.before-{newest_revision()}"
    said = system.log_path.read_text()
    assert f"from 0002 to {newest_revision()}" in said
    assert str(copy) in said
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert rows(copy, "SELECT version_num FROM alembic_version") == [("0002",)]
    assert not Path(f"{copy}-wal").exists()

    assert system.cli("ls").stdout.splitlines() == KEYS
    assert all(system.client().get(key).status == 200 for key in KEYS)
    alice = system.client(ALICES_TOKEN)
    assert alice.put("new.png", alice.get("red.png").body).status == 201
    assert [user["name"] for user in system.cli_json("user", "ls")["users"]] == ["admin", "alice", "bob"]
    assert system.cli_json("fsck", "--digests")["healthy"]
    assert system.cli_json("version")["database"] == "current"
    wait_for(lambda: all(alice.metadata(key).json["thumbhash"] for key in KEYS), "all are examined")
    system.stop()

    # Going back: the copy is the database that the earlier version left.
    assert rows(copy, "SELECT key, version FROM images") == rows_of(before, "SELECT key, version FROM images", tmp_path)


def rows(file: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return sorted(connection.execute(query))


def rows_of(content: bytes, query: str, folder: Path) -> list[tuple[object, ...]]:
    (folder / "before.db").write_bytes(content)
    return rows(folder / "before.db", query)


def test_a_damaged_database_is_found_after_a_crash_and_left_alone(
    start_system: StartSystem, few: tuple[Photograph, ...]
) -> None:
    system = start_system()
    file = system.data / "elastic-images.db"
    assert system.admin().put("k1", few[0].body).status == 201
    saved = system.data / "saved.db"
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(saved)) as target:
        source.backup(target)
    killed(system)
    # A copy put back carelessly: another file, under the old one's journal.
    content = saved.read_bytes()
    middle = len(content) // 2 // 4096 * 4096
    file.write_bytes(content[:middle] + b"\xa5" * (len(content) - middle))
    journal = Path(f"{file}-wal")
    broken, journalled = file.read_bytes(), journal.read_bytes()
    assert journalled
    for _ in range(2):  # the first refusal must not make the second start look orderly
        code, said = refused(system.data)
        assert code == 1, said
        assert "is damaged" in said
        assert "elastic-images restore" in said
        assert "elastic-images.db-wal" in said
        assert (file.read_bytes(), journal.read_bytes()) == (broken, journalled)
    # As the message says:
    shutil.copy(saved, file)
    for beside in ("-wal", "-shm"):
        Path(f"{file}{beside}").unlink()
    system.start()
    assert "checking the database" in system.log_path.read_text()
    assert system.client().get("k1").body == few[0].body
    system.stop()


def killed(system: System) -> None:
    """`kill -9` of the supervisor and of all its processes at once, as in a power failure."""
    for process in system.processes():
        process.kill()
    assert system.process is not None
    system.process.wait(60)
    system.wait_gone()
