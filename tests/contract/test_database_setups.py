"""Databases as people run them: behind a pooler, with odd passwords, in other encodings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from urllib.parse import quote

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from testing.clock import Clock
from testing.database_servers import (
    DatabaseServer,
    mariadb,
    mariadb_installed,
    pgbouncer,
    pgbouncer_installed,
    postgresql,
    postgresql_binaries,
)
from testing.storage_parts import ANN, upload_of

from elastic_images.accounts.accounts import Accounts
from elastic_images.core.errors import InvalidRequest
from elastic_images.database.engine import check_encoding, normalise_url, open_engine
from elastic_images.database.migrate import migrate
from elastic_images.pool.store import PoolStore
from elastic_images.storage.catalog.catalog import Catalog

PASSWORDS = ["kölsch", "pay€", "p@ss:w/rd?#%", "пароль 😀"]


def _server(
    make: Callable[[], AbstractContextManager[DatabaseServer]], installed: bool, package: str
) -> Iterator[DatabaseServer]:
    if not installed:
        pytest.skip(f"needs the package {package}")
    with make() as server:
        yield server


@pytest.fixture(scope="module")
def postgres() -> Iterator[DatabaseServer]:
    yield from _server(postgresql, postgresql_binaries() is not None, "postgresql")


@pytest.fixture(scope="module")
def maria() -> Iterator[DatabaseServer]:
    yield from _server(mariadb, mariadb_installed(), "mariadb-server")


@pytest.mark.skipif(not pgbouncer_installed(), reason="needs the package pgbouncer")
def test_behind_pgbouncer_in_transaction_mode(postgres: DatabaseServer) -> None:
    with postgres.fresh_url() as direct, pgbouncer(direct) as url:
        engine = open_engine(url)
        migrate(engine)
        catalog, pool = Catalog(engine, monotonic=Clock(0.0)), PoolStore(engine)
        accounts = Accounts(engine, session_seconds=60)
        accounts.users.add("Zoë", "a good long password")

        def work(worker: int) -> None:
            for number in range(30):
                key = f"{worker}/{number:03}"
                catalog.put(upload_of(key), ANN)
                assert catalog.find(key) is not None
                assert pool.read().map is None
                assert accounts.of_token("ei_unknown") is None

        with ThreadPoolExecutor(8) as workers:
            list(workers.map(work, range(8)))
        assert catalog.usage()["images"] == 240
        migrate(engine)
        accounts.close()
        engine.dispose()


@pytest.mark.parametrize("password", PASSWORDS)
def test_any_password_on_mariadb(maria: DatabaseServer, password: str) -> None:
    literal = password.replace("'", "''")
    maria.execute(f"CREATE OR REPLACE USER odd@localhost IDENTIFIED BY '{literal}'")
    maria.execute("GRANT ALL ON *.* TO odd@localhost")
    with maria.fresh_url() as url:
        parts = make_url(url)
        socket = parts.query["unix_socket"]
        engine = open_engine(f"mysql://odd:{quote(password, safe='')}@localhost/{parts.database}?unix_socket={socket}")
        with engine.connect() as connection:
            assert connection.execute(text("SELECT CURRENT_USER()")).scalar_one() == "odd@localhost"
        engine.dispose()


def test_a_postgresql_database_in_sql_ascii(postgres: DatabaseServer) -> None:
    with postgres.fresh_url("TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'") as url:
        engine = open_engine(url)
        check_encoding(engine)
        migrate(engine)
        accounts = Accounts(engine, session_seconds=60)
        accounts.users.add("Zoë", "a good long password")
        assert [user.name for user in accounts.users.list()] == ["Zoë"]
        catalog = Catalog(engine, monotonic=Clock(0.0))
        catalog.put(upload_of("ä/😀"), ANN)
        assert [image.key for image in catalog.list_page().images] == ["ä/😀"]
        engine.dispose()


def test_a_postgresql_database_that_cannot_hold_all_text_is_refused(postgres: DatabaseServer) -> None:
    with postgres.fresh_url("TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'") as url:
        engine = open_engine(url)
        with pytest.raises(InvalidRequest, match="encoding LATIN1"):
            check_encoding(engine)
        engine.dispose()


@pytest.mark.parametrize("value", ["0", "5", "none"])
def test_a_url_can_set_when_statements_are_prepared(postgres: DatabaseServer, value: str) -> None:
    with postgres.fresh_url() as url:
        engine = open_engine(f"{url}&prepare_threshold={value}")
        with engine.connect() as connection:
            found = connection.connection.dbapi_connection
            assert getattr(found, "prepare_threshold", "?") == (None if value == "none" else int(value))
        engine.dispose()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u@h/d?prepare_threshold=soon", "must be a number, or none"),
        ("postgresql://u@h/d?sslmoed=require", "unknown parameter: sslmoed"),
        ("mysql://u@h/d?autocomit=1", "unknown parameter: autocomit"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(url: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        normalise_url(url)
