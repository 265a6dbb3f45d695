"""A migrated database is what the code expects, on every kind of database."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine import reflection

from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import alembic_config, migrate
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


def test_downgrade_leaves_nothing(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "base")
        connection.commit()
        assert columns(connection) == {}
