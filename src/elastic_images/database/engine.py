"""Opens the database at a URL."""

from __future__ import annotations

import socket
import sqlite3
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
    return url.set(drivername=_DRIVERS[kind]) if "+" not in url.drivername else url


_CONNECT_SECONDS = 5
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
            url,
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
    engine = create_engine(url, pool_size=pool_size, max_overflow=pool_size, connect_args={"timeout": 10})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        # A transaction that reads and then writes fails with "database is locked" if another one wrote in between;
        # `write_transaction` takes the write lock at the start.
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))

    return engine


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
    elif url.get_driver_name() == "psycopg":
        arguments = {
            "connect_timeout": _CONNECT_SECONDS,
            "keepalives_idle": GONE_SECONDS // 2,
            "keepalives_interval": 1,
            "keepalives_count": GONE_SECONDS // 2,
            "tcp_user_timeout": GONE_SECONDS * 1000,
        }
    return {name: value for name, value in arguments.items() if name not in url.query}


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


def write_transaction(engine: Engine) -> Any:
    """A context manager that gives a Connection in a transaction that writes.

    On SQLite it takes the write lock at once (BEGIN IMMEDIATE); elsewhere it is `engine.begin()`.
    """
    return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin()
