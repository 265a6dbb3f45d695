"""A lock on a database that one process holds at a time, on whichever machine. Storage uses it without Alembic."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from elastic_images.core.errors import Unavailable
from elastic_images.database.sqlite_file import file_of

_LOCK_NAME = "elastic-images-migrate"
_LOCK_NUMBER = 7_161_520_260
_WAIT_SECONDS = 120


def database_lock(engine: Engine) -> contextlib.AbstractContextManager[None]:
    """A lock that one process holds at a time, on whichever machine. Raises Unavailable after two minutes."""
    locks = {"sqlite": _locked_file, "mysql": _locked_mysql, "mariadb": _locked_mysql, "postgresql": _locked_postgres}
    return locks[engine.dialect.name](engine)


@contextlib.contextmanager
def _locked_file(engine: Engine) -> Iterator[None]:
    """A lock file next to the database. It is never removed: that could release a lock that is held."""
    path = file_of(engine.url)
    if path is None:
        yield
        return
    lock = Path(f"{path}.migrate-lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _locked_mysql(engine: Engine) -> Iterator[None]:
    """A named lock. It includes the database's name, as lock names are global to the server; ends with the session."""
    name = f"{_LOCK_NAME}:{engine.url.database}"[:64]
    with engine.connect() as connection:
        if not _got_mysql_lock(connection, name):
            raise Unavailable("Another process is migrating the database.")
        try:
            yield
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": name})


def _got_mysql_lock(connection: Connection, name: str) -> bool:
    """Wait in short steps, as a slow answer would count as a dead server."""
    asked = text("SELECT GET_LOCK(:name, :wait)")
    turns = (connection.execute(asked, {"name": name, "wait": 5}).scalar() for _ in range(_WAIT_SECONDS // 5))
    return any(got == 1 for got in turns)


@contextlib.contextmanager
def _locked_postgres(engine: Engine) -> Iterator[None]:
    """An advisory lock on this database, held by a transaction: a pooler would hand a session to others."""
    with engine.connect() as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{_WAIT_SECONDS}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
        yield
