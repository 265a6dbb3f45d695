"""Short transactions that are retried when they conflict with another one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from elastic_images.core.errors import OutOfSpace
from elastic_images.database.engine import write_transaction
from elastic_images.storage.catalog.group_commit import GroupCommit

T = TypeVar("T")

_ATTEMPTS = 8
_MYSQL_CONFLICTS = frozenset({1205, 1213, 1020})
_POSTGRES_CONFLICTS = frozenset({"40001", "40P01", "55P03"})


class RetryingTransactions:
    """Runs work in transactions of one database. Safe to share between threads."""

    def __init__(self, engine: Engine, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._engine = engine
        self._sleep = sleep
        # SQLite has one writer at a time; the others would poll for the lock, in no order. Here they queue, and those
        # that waited together commit together (docs/decisions/group-commit.md).
        self._group = GroupCommit(engine) if engine.dialect.name == "sqlite" else None

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a fresh read-only transaction."""
        with self._engine.begin() as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and commit. It may run several times, so it must only touch the database.

        Raises:
            OutOfSpace: the database is full; nothing changed.
            sqlalchemy.exc.DBAPIError: the database does not answer; it may have committed or not.
        """
        for attempt in range(_ATTEMPTS):
            try:
                if self._group is not None:
                    return self._group.run(work)
                with write_transaction(self._engine) as connection:
                    return work(connection)
            except DBAPIError as error:
                if _is_full(error):
                    raise OutOfSpace("The database is full.") from error
                if attempt == _ATTEMPTS - 1 or not _conflicted(error):
                    raise
            self._sleep(0.005 * 2**attempt)
        raise AssertionError("the last attempt must return or raise")


def _conflicted(error: DBAPIError) -> bool:
    """Whether another transaction conflicted: a deadlock, a lock timeout, or the same new row.

    SQLite's "database is locked" does not count: it comes after 10 s of waiting, and a retry would not help.
    """
    if isinstance(error, IntegrityError):
        return True
    code = getattr(error.orig, "sqlstate", None)
    arguments = getattr(error.orig, "args", ())
    return code in _POSTGRES_CONFLICTS or bool(arguments and arguments[0] in _MYSQL_CONFLICTS)


def _is_full(error: DBAPIError) -> bool:
    arguments = getattr(error.orig, "args", ())
    return (
        "disk is full" in str(error.orig)
        or getattr(error.orig, "sqlstate", None) == "53100"
        or bool(arguments and arguments[0] in (1021, 1114))
    )
