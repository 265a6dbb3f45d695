"""A migrated database is what the code expects, on every kind of database."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, insert, inspect, text
from sqlalchemy.engine import reflection

from elastic_images.core.errors import OutOfSpace
from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import alembic_config, migrate, newest_revision, revision_of
from elastic_images.database.sqlite_file import copies, copy_before_upgrade
from elastic_images.database.tables import import_all


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def columns(connection: Connection) -> dict[str, list[tuple[str, bool]]]:
    inspector: reflection.Inspector = inspect(connection)
    return {
        name: [(column["name"], bool(column["nullable"])) for column in inspector.get_columns(name)]
        for name in inspector.get_table_names()
        if name != "alembic_version"
    }


def test_migrated_database_has_the_tables_of_every_room(engine: Engine) -> None:
    migrate(engine)
    metadata = import_all()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert columns(connection) == {
            table.name: [(column.name, bool(column.nullable)) for column in table.columns]
            for table in metadata.tables.values()
        }


def test_the_pool_has_its_first_row(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id, revision FROM pool_state")).all() == [(1, 0)]


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE pool_state SET revision = 7"))
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT revision FROM pool_state")).scalar() == 7


def test_an_interrupted_first_migration_is_finished(engine: Engine) -> None:
    """MySQL cannot undo tables: what an interruption left is taken over."""
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE scaling_decisions"))
        connection.execute(text("DELETE FROM alembic_version"))
    migrate(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), import_all()) == []


def test_processes_that_migrate_at_once_wait_for_each_other(engine: Engine, database_url: str) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        own = open_engine(database_url)
        try:
            migrate(own)
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)
        finally:
            own.dispose()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with engine.connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM alembic_version")).scalar() == 1


@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])
def test_a_database_of_every_earlier_revision_is_upgraded(engine: Engine, revision: str) -> None:
    """With rows of that time: an image, its key, and a change that took an object out of use."""
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), revision)
        connection.commit()
    schema = MetaData()
    schema.reflect(engine)
    with engine.begin() as connection:
        for table, row in rows_of_old():
            connection.execute(insert(schema.tables[table]).values(row))
        if "trash" in schema.tables:
            connection.execute(insert(schema.tables["trash"]).values(OLD_TRASH))
    done = migrate(engine)
    assert done is not None
    assert (done.before, done.after) == (revision, newest_revision())
    assert (done.copy is not None) == (engine.dialect.name == "sqlite")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), import_all()) == []
        assert connection.execute(text("SELECT object_name, version, visibility FROM images")).all() == [
            ("a" * 32, 2, "public")
        ]
        assert connection.execute(text("SELECT object_name, facts FROM trash")).all() == [("b" * 32, None)]
        assert connection.execute(text("SELECT role FROM users")).scalars().all() == ["user"]
    assert migrate(engine) is None


OLD_TRASH = {
    "key": b"k1", "version": 1, "object_name": "b" * 32, "size_bytes": 3, "deleted_at": 1, "until": 2, "attempts": 0,
    "next_attempt_at": 2,
}  # fmt: skip


def rows_of_old() -> Iterator[tuple[str, dict[str, object]]]:
    user = {"name": b"ann", "folded_name": b"ann", "password_hash": "x", "role": "user", "disabled": False}
    yield "users", {**user, "created_at": 1}
    yield "image_keys", {"key": b"k1", "version": 2, "updated_at": 1}
    facts = {"sha256": "0" * 64, "size_bytes": 3, "content_type": "image/png", "format": "PNG"}
    size = {"width": 1, "height": 1, "frames": 1}
    times = {"created_at": 1, "updated_at": 1}
    yield "images", {"key": b"k1", "object_name": "a" * 32, "version": 2, **facts, **size, **times}
    for key, old, state in ((b"k1", "b" * 32, "done"), (b"k2", "c" * 32, "clean")):
        change = {"write_id": old, "key": key, "version": 2, "created": False, "old_object": old}
        yield "image_changes", {**change, "state": state, "created_at": 1, "state_at": 1}


def test_copies_from_before_upgrades(tmp_path: Path) -> None:
    """Readable by their owner only, whole, the newest two kept; and an upgrade without room does not begin."""
    file = tmp_path / "x.db"
    engine = open_engine(f"sqlite:///{file}")
    migrate(engine)
    assert copies(file) == []
    before = os.umask(0)
    made = [copy_before_upgrade(file, revision) for revision in ("0002", "0003", "0010")]
    os.umask(before)
    assert copies(file) == made[1:]
    for copy in made[1:]:
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (newest_revision(),)
    assert not [path for path in tmp_path.iterdir() if ".before-" in path.name and path not in made]
    engine.dispose()


def test_an_upgrade_without_room_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0002")
        connection.commit()
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(OutOfSpace, match="free some space and start again"):
        migrate(engine)
    assert revision_of(engine) == "0002"
    engine.dispose()


def test_an_interrupted_upgrade_of_sqlite_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the copy that the next try makes is again the database as it was."""
    engine = open_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0002")
        connection.commit()
    before = inspect(engine).get_table_names()

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(op, "create_index", fail)  # after the first tables
    with pytest.raises(KeyboardInterrupt):
        migrate(engine)
    monkeypatch.undo()
    assert (revision_of(engine), inspect(engine).get_table_names()) == ("0002", before)
    assert migrate(engine) is not None
    engine.dispose()


def test_downgrade_leaves_nothing(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "base")
        connection.commit()
        assert columns(connection) == {}
