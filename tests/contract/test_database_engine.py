"""What connections to every database live through: a restart under load, lost connections, odd collations."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from testing.clock import Clock
from testing.database_servers import DatabaseServer, mariadb, mariadb_installed, postgresql, postgresql_binaries
from testing.storage_parts import ANN, upload_of
from testing.waiting import wait_for

from elastic_images.accounts.accounts import Accounts
from elastic_images.core.errors import Conflict
from elastic_images.database.engine import GONE_SECONDS, _watch_peer, normalise_url, open_engine
from elastic_images.database.migrate import migrate
from elastic_images.http.dead_peers import dead_peer_options
from elastic_images.storage.catalog.catalog import Catalog

ODD_COLLATIONS = {
    "mariadb": ["CHARACTER SET latin1 COLLATE latin1_swedish_ci", "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"],
    "postgresql": [
        "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US-u-ks-level1' LOCALE 'C.UTF-8'",
        "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'",
    ],
}
KEYS = ["Case1", "case1", "case1 ", "CASE1", "ä", "a", "é", "e", "ß", "ss", "😀", "😁", "a/b", "a-b"]


def check_keys(url: str) -> None:
    engine = open_engine(url)
    try:
        migrate(engine)
        catalog = Catalog(engine, monotonic=Clock(0.0))
        for key in KEYS:
            catalog.put(upload_of(key), ANN)
        assert [image.key for image in catalog.list_page().images] == sorted(KEYS, key=str.encode)
        for key in KEYS:
            found = catalog.find(key)
            assert found is not None
            assert (found.facts.key, found.facts.version) == (key, 1)
    finally:
        engine.dispose()


def test_keys_are_told_apart_in_every_collation(database_server: DatabaseServer | None, database_url: str) -> None:
    check_keys(database_url)
    if database_server is not None:
        for options in ODD_COLLATIONS[normalise_url(database_url).get_backend_name().replace("mysql", "mariadb")]:
            with database_server.fresh_url(options) as url:
                check_keys(url)


def test_every_text_can_be_kept_whatever_the_database_is_set_to(
    database_server: DatabaseServer | None, database_url: str
) -> None:
    """A MariaDB database of another character set than utf8mb4, and tables that an older version made in it."""
    if database_server is None or not database_url.startswith("mariadb"):
        return
    with database_server.fresh_url("CHARACTER SET latin1") as url:
        engine = open_engine(url)
        migrate(engine)
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE users CONVERT TO CHARACTER SET latin1"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        migrate(engine)
        with engine.connect() as connection:
            query = "SELECT DISTINCT table_collation FROM information_schema.tables WHERE table_schema = DATABASE()"
            names = connection.execute(text(query + " AND table_name <> 'alembic_version'")).scalars().all()
        engine.dispose()
    assert names == ["utf8mb4_bin"]


def test_users_are_told_apart_by_their_folded_names_alone(engine: Engine) -> None:
    accounts = Accounts(engine, session_seconds=60)
    accounts.users.add("Zoë", "a good long password")
    with pytest.raises(Conflict):
        accounts.users.add("zoË", "a good long password")
    accounts.users.add("zoe", "a good long password")


def test_a_connection_that_the_server_ended_is_replaced(engine: Engine, database_server: DatabaseServer | None) -> None:
    """As after a fail-over: every connection of the pool is dead, and no statement notices."""
    if database_server is None:
        return  # SQLite has no server
    ask = {
        "mariadb": "SELECT CONNECTION_ID()",
        "postgresql": "SELECT pg_backend_pid()",
    }[engine.dialect.name]
    with engine.connect() as first, engine.connect() as second:
        numbers = [connection.execute(text(ask)).scalar_one() for connection in (first, second)]
    for number in numbers:
        database_server.execute(
            f"KILL {number}" if engine.dialect.name == "mariadb" else f"SELECT pg_terminate_backend({number})"
        )
    with engine.connect() as first, engine.connect() as second:
        again = [connection.execute(text(ask)).scalar_one() for connection in (first, second)]
    assert not set(again) & set(numbers)


# PyMySQL leaves its socket open where it is refused.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(mariadb, marks=pytest.mark.skipif(not mariadb_installed(), reason="needs mariadb-server")),
        pytest.param(postgresql, marks=pytest.mark.skipif(not postgresql_binaries(), reason="needs postgresql")),
    ],
)
def test_a_server_that_restarts_under_load_is_found_again(
    kind: Callable[[], AbstractContextManager[DatabaseServer]],
) -> None:
    """A server of the test's own."""
    with kind() as server, server.fresh_url() as url:
        engine = open_engine(url)
        try:
            migrate(engine)
            check_restart(engine, server)
        finally:
            engine.dispose()
            gc.collect()


def check_restart(engine: Engine, server: DatabaseServer) -> None:
    """What was acknowledged is there after the restart, and every writer goes on by itself."""
    catalog = Catalog(engine, monotonic=Clock(0.0))
    acknowledged: list[str] = []
    failures: list[Exception] = []
    stop, restarted = threading.Event(), threading.Event()
    after_restart = [0] * 4

    def write(writer: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            key = f"w{writer}/{number}"
            try:
                catalog.put(upload_of(key), ANN)
                acknowledged.append(key)
                assert catalog.find(key) is not None
                after_restart[writer] += restarted.is_set()
            except DBAPIError as error:
                failures.append(error)
                time.sleep(0.01)

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, writer) for writer in range(4)]
        try:
            wait_for(lambda: len(acknowledged) > 20 or any(writer.done() for writer in writers))
            server.stop()
            wait_for(lambda: len(failures) >= 4)
            server.start()
            restarted.set()
            wait_for(lambda: all(count > 5 for count in after_restart) or any(writer.done() for writer in writers))
        finally:
            stop.set()
        for writer in writers:
            writer.result()
    for key in acknowledged:
        assert catalog.find(key) is not None, key
    assert catalog.usage()["images"] >= len(acknowledged)


def test_values_that_do_not_fit_are_refused(engine: Engine, database_server: DatabaseServer | None) -> None:
    """Some servers are set up to cut them off."""
    if engine.dialect.name != "mariadb":
        return  # PostgreSQL always refuses; SQLite keeps them whole
    assert database_server is not None
    before = "SELECT @@GLOBAL.sql_mode"
    with engine.connect() as connection:
        mode = connection.execute(text(before)).scalar_one()
    database_server.execute("SET GLOBAL sql_mode = ''")
    try:
        engine.dispose()
        with engine.connect() as connection, pytest.raises(DBAPIError, match="too long"):
            connection.execute(text("INSERT INTO login_attempts VALUES (:subject, 1, 1.0)"), {"subject": "x" * 81})
    finally:
        database_server.execute(f"SET GLOBAL sql_mode = '{mode}'")


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
def test_a_server_that_is_silent_is_given_up(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and says nothing: as a host that hangs."""
    monkeypatch.setattr("elastic_images.database.engine._CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        engine = open_engine(f"{kind}://user:secret@127.0.0.1:{listener.getsockname()[1]}/name", answer_seconds=2)
        with pytest.raises(OperationalError), engine.connect() as connection:
            connection.execute(select(1))
        engine.dispose()
        gc.collect()


def test_a_server_whose_machine_is_gone_is_noticed_by_the_kernel(engine: Engine) -> None:
    """What that does is seen in tests/system/test_several_hosts.py, over TCP; here it is a Unix socket."""
    if engine.dialect.name != "mariadb":
        return  # PostgreSQL's driver has settings for it; SQLite is on this machine
    with engine.connect() as connection:
        known: Any = connection.connection.dbapi_connection
        assert isinstance(known._sock, socket.socket), "PyMySQL calls it by another name"
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as made:
        _watch_peer(SimpleNamespace(_sock=made), None)
        assert [made.getsockopt(level, name) for level, name, _ in dead_peer_options(GONE_SECONDS)] == [
            value for _, _, value in dead_peer_options(GONE_SECONDS)
        ]


def test_a_transaction_that_is_left_alone_keeps_no_locks(engine: Engine) -> None:
    """Its machine may be gone; nobody else could write then what it has locked."""
    shown = {
        "mariadb": "SELECT @@SESSION.idle_transaction_timeout",
        "postgresql": "SHOW idle_in_transaction_session_timeout",
    }
    if engine.dialect.name not in shown:
        return  # SQLite's locks end with their process
    with engine.connect() as connection:
        assert str(connection.execute(text(shown[engine.dialect.name])).scalar_one()) in ("10", "10s")


def test_a_urls_own_parameters_count_before_ours() -> None:
    engine = open_engine("mysql://user@127.0.0.1/name?read_timeout=7&connect_timeout=1")
    _, arguments = engine.dialect.create_connect_args(engine.url)
    assert arguments["read_timeout"] == 7
    engine.dispose()
