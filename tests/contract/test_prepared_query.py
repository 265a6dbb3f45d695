"""A query that is worked out once gives what SQLAlchemy's own execution of it gives, and fails as that does."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, bindparam, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from elastic_images.database.base import KeyText, Seconds
from elastic_images.database.engine import open_engine
from elastic_images.database.prepared import PreparedQuery, PreparedStatement

TABLE = Table(
    "prepared",
    MetaData(),
    Column("key", KeyText, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", String(20)),
    Column("at", Seconds),
)
COUNTED = Table("prepared_counted", TABLE.metadata, Column("id", Integer, primary_key=True), Column("at", Seconds))
QUERY = select(TABLE).where(TABLE.c.number == bindparam("number"), TABLE.c.key == bindparam("key"))
ROWS = [
    {"key": "a", "number": 1, "name": None, "at": 1_800_000_000.125},
    {"key": "a", "number": 2, "name": "ä'\\%s", "at": None},
    {"key": "%(key)s '\\ \U0001f600", "number": -3, "name": "", "at": 0.0},
]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, pool_size=1)
    with engine.begin() as connection:
        TABLE.metadata.create_all(connection)
        connection.execute(insert(TABLE), ROWS)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["number"]))
def test_it_gives_what_an_execution_gives(engine: Engine, row: dict[str, object]) -> None:
    found = PreparedQuery(engine, QUERY).first(key=row["key"], number=row["number"])
    assert found == tuple(row.values())
    assert [type(value) for value in found] == [type(value) for value in row.values()]


def test_no_row_is_none(engine: Engine) -> None:
    query = PreparedQuery(engine, QUERY)
    assert [query.first(key="b", number=1), query.first(key="a", number=3)] == [None, None]


def test_threads_share_it(engine: Engine) -> None:
    query = PreparedQuery(engine, QUERY)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: query.first(key="a", number=number % 3), range(300)))
    assert [row[1] if row else 0 for row in found] == [number % 3 for number in range(300)]


def test_an_error_is_one_of_sqlalchemys_and_its_connection_is_not_used_again(engine: Engine) -> None:
    query = PreparedQuery(engine, QUERY)
    assert query.first(key="a", number=1) is not None
    with engine.begin() as connection:
        TABLE.drop(connection)
    before = _driver_connection(engine)
    with pytest.raises(DBAPIError):
        query.first(key="a", number=1)
    assert _driver_connection(engine) is not before
    with engine.begin() as connection:
        TABLE.create(connection)
    assert query.first(key="a", number=1) is None


def test_a_database_that_cannot_be_opened_is_one_of_sqlalchemys_errors() -> None:
    engine = open_engine("sqlite:////nowhere/at/all.db")
    with pytest.raises(SQLAlchemyError):
        PreparedQuery(engine, QUERY).first(key="a", number=1)


def test_what_it_writes_is_in_the_transaction_of_its_connection(engine: Engine) -> None:
    new = PreparedStatement(engine, insert(TABLE), ["key", "number", "name", "at"])
    row = {**ROWS[2], "number": 7}
    with engine.connect() as connection, connection.begin() as transaction:
        new.run(connection, **row)
        transaction.rollback()
    query = PreparedQuery(engine, QUERY)
    assert query.first(key=row["key"], number=7) is None
    with engine.begin() as connection:
        new.run(connection, **row)
    assert query.first(key=row["key"], number=7) == tuple(row.values())


def test_an_update_says_how_many_rows_it_found(engine: Engine) -> None:
    rename = PreparedStatement(engine, update(TABLE).where(TABLE.c.key == bindparam("its_key")), ["name"])
    with engine.begin() as connection:
        found = [
            rename.run(connection, its_key=key, name=name).changed for key, name in [("a", "x"), ("a", "x"), ("b", "x")]
        ]
    assert found == [2, 2, 0]
    assert PreparedQuery(engine, QUERY).first(key="a", number=1) == ("a", 1, "x", ROWS[0]["at"])


def test_an_insert_says_which_id_its_row_has(engine: Engine) -> None:
    new = PreparedStatement(engine, insert(COUNTED), ["at"])
    with engine.begin() as connection:
        given = [new.run(connection, at=at).row_id for at in (1.5, 2.5, 3.5)]
    with engine.connect() as connection:
        assert connection.execute(select(COUNTED).order_by(COUNTED.c.at)).all() == list(
            zip(given, (1.5, 2.5, 3.5), strict=True)
        )


def test_a_refused_insert_is_said_as_such_and_keeps_the_connection(engine: Engine) -> None:
    new = PreparedStatement(engine, insert(TABLE), ["key", "number", "name", "at"])
    before = _driver_connection(engine)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        new.run(connection, **ROWS[0])
    assert _driver_connection(engine) is before


def test_a_connection_that_is_lost_in_a_transaction_is_not_used_again(engine: Engine) -> None:
    new = PreparedStatement(engine, insert(TABLE), ["key", "number", "name", "at"])
    invalidated = []

    def write() -> None:
        with engine.begin() as connection:
            connection.connection.driver_connection.close()  # type: ignore[union-attr]
            try:
                new.run(connection, **ROWS[0])
            finally:
                invalidated.append(connection.invalidated)

    with pytest.raises(DBAPIError):
        write()
    assert invalidated == [True]
    assert PreparedQuery(engine, QUERY).first(key="a", number=1) is not None


def _driver_connection(engine: Engine) -> object:
    with engine.connect() as connection:
        return connection.connection.driver_connection
