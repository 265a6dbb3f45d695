"""Opens the database at a URL."""

from __future__ import annotations

import socket
import sqlite3
import time
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from elastic_images.core.errors import InvalidRequest
from elastic_images.http.dead_peers import dead_peer_options

_DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "sqlite": "sqlite",
}


def normalise_url(text: str) -> URL:
    """The SQLAlchemy URL for a database URL as people write it: `mysql://` means PyMySQL, `postgres://` psycopg.

    Raises:
        InvalidRequest: it is not a URL, or the database is not supported. The message shows no password.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise InvalidRequest("The database setting must be a URL such as mysql://user:password@host/name.") from None
    kind = url.drivername.partition("+")[0]
    if kind not in _DRIVERS:
        raise InvalidRequest(f"Unsupported database {kind!r}: use sqlite, mysql, mariadb or postgresql.")
    if kind in ("mysql", "mariadb"):
        url = url.update_query_dict({"charset": "utf8mb4"})
    url = url.set(drivername=_DRIVERS[kind]) if "+" not in url.drivername else url
    _check_parameters(url)
    return url


def _check_parameters(url: URL) -> None:
    """Refuse parameters that the driver does not know; it would only complain on the first connection."""
    if url.get_driver_name() == "psycopg":
        from psycopg import ProgrammingError
        from psycopg.conninfo import make_conninfo

        for name, value in url.query.items():
            if name == "prepare_threshold":
                _prepare_threshold(url)
                continue
            parameter: Any = {name: value}
            try:
                make_conninfo(**parameter)
            except (ProgrammingError, TypeError):
                raise InvalidRequest(f"The database URL has an unknown parameter: {name}.") from None
    elif url.get_driver_name() == "pymysql":
        import inspect

        from pymysql.connections import Connection

        known = {*inspect.signature(Connection.__init__).parameters, "ssl_capath", "ssl_cipher", "ssl_check_hostname"}
        for name in url.query:
            if name not in known:
                raise InvalidRequest(f"The database URL has an unknown parameter: {name}.")


def _prepare_threshold(url: URL) -> int | None:
    """After how many runs psycopg prepares a statement on the server; never by default.

    A pooler such as PgBouncer in transaction mode hands each transaction another server connection, which does not
    know what was prepared on the one before.
    """
    value = url.query.get("prepare_threshold", "none")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if value == "none":
        return None
    raise InvalidRequest("prepare_threshold in the database URL must be a number, or none.")


_CONNECT_SECONDS = 5
_BUSY_SECONDS = 10
GONE_SECONDS = 4
"""How long until a connection to a vanished machine fails."""
ANSWER_SECONDS = 30
"""How long until a statement fails that a reachable MySQL or MariaDB server does not answer."""
_IDLE_SECONDS = 10
"""The server ends transactions that are idle for this long: the client may be gone, and its locks would stay."""
_IDLE_CONNECTION_SECONDS = 300
"""The same for MySQL, which can only limit connections, in a transaction or not."""
_STRICT = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"
"""Some servers, including Amazon's, are configured to truncate values that do not fit instead of refusing them."""


def open_engine(text: str, *, pool_size: int = 8, answer_seconds: int = ANSWER_SECONDS) -> Engine:
    """An engine for the database at the URL `text`. Connects on first use; safe to share between threads.

    Pooled connections are tested before they are reused. A connection to a server that vanished, as in a fail-over,
    fails within seconds (`dead_peers`); on MySQL and MariaDB a statement fails after `answer_seconds` without an
    answer. Unless that is longer than the default, the server ends our idle transactions, so that they hold no locks.

    On SQLite: WAL, `synchronous=FULL`, foreign keys, a busy timeout of 10 s, and transactions that start with an
    explicit BEGIN, as SQLAlchemy's documentation of the pysqlite driver describes.
    """
    url = normalise_url(text)
    if url.get_backend_name() != "sqlite":
        served = create_engine(
            url.difference_update_query(["prepare_threshold"]),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            pool_recycle=1800,
            isolation_level="READ COMMITTED",
            connect_args=_connect_arguments(url, answer_seconds),
        )
        if url.get_driver_name() == "pymysql":
            event.listen(served, "connect", _watch_peer)
        if answer_seconds <= ANSWER_SECONDS:
            event.listen(served, "connect", _limit_idleness)
        return served
    engine = create_engine(url, pool_size=pool_size, max_overflow=pool_size, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        _use_wal(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        # A transaction that reads and then writes fails with "database is locked" if another one wrote in between;
        # `write_transaction` takes the write lock at the start.
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turn on write-ahead logging. While another connection does so, SQLite fails at once instead of waiting."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _connect_arguments(url: URL, answer_seconds: int) -> dict[str, Any]:
    """Arguments for the drivers; parameters in the URL take precedence."""
    arguments: dict[str, Any] = {}
    if url.get_driver_name() == "pymysql":
        arguments = {
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": answer_seconds,
            "write_timeout": answer_seconds,
            "sql_mode": _STRICT,
        }
        if url.password:
            # PyMySQL would encode it as Latin-1; servers compare UTF-8.
            arguments["password"] = str(url.password).encode()
    elif url.get_driver_name() == "psycopg":
        arguments = {
            "connect_timeout": _CONNECT_SECONDS,
            # In a database with the encoding SQL_ASCII, psycopg would give bytes instead of text.
            "client_encoding": "utf8",
            "keepalives_idle": GONE_SECONDS // 2,
            "keepalives_interval": 1,
            "keepalives_count": GONE_SECONDS // 2,
            "tcp_user_timeout": GONE_SECONDS * 1000,
        }
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    if url.get_driver_name() == "psycopg":
        arguments["prepare_threshold"] = _prepare_threshold(url)
    return arguments


def _watch_peer(connection: Any, _record: Any) -> None:
    """Set socket options; PyMySQL has no setting for them and no public name for its socket."""
    made = getattr(connection, "_sock", None)
    if isinstance(made, socket.socket) and made.family != socket.AF_UNIX:
        for option in dead_peer_options(GONE_SECONDS):
            made.setsockopt(*option)


def _limit_idleness(connection: Any, _record: Any) -> None:
    if not hasattr(connection, "get_server_info"):
        # By a statement: proxies in front of PostgreSQL refuse connections with options.
        setting = f"idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'"
    elif "MariaDB" in connection.get_server_info():
        setting = f"idle_transaction_timeout = {_IDLE_SECONDS}"
    else:
        setting = f"wait_timeout = {_IDLE_CONNECTION_SECONDS}"
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION {setting}")
    connection.commit()


def check_encoding(engine: Engine) -> None:
    """Refuse a PostgreSQL database whose encoding cannot hold all text. Raises InvalidRequest.

    MySQL's tables are created in utf8mb4, whatever the database's default is. SQL_ASCII keeps the bytes it is given.
    """
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding not in ("UTF8", "SQL_ASCII"):
            raise InvalidRequest(
                f"The database has the encoding {encoding}, which cannot hold all text: use one with ENCODING 'UTF8'."
            )


def write_transaction(engine: Engine) -> Any:
    """A context manager that gives a Connection in a transaction that writes.

    On SQLite it takes the write lock at once (BEGIN IMMEDIATE); elsewhere it is `engine.begin()`.
    """
    return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin()
