"""Short transactions that are run again where they met another one."""

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
_MYSQL_MET = frozenset({1205, 1213, 1020})
_POSTGRES_MET = frozenset({"40001", "40P01", "55P03"})


class RetryingTransactions:
    """Runs work in transactions of one database. Safe to share between threads."""

    def __init__(self, engine: Engine, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._engine = engine
        self._sleep = sleep
        # SQLite has one writer at a time, and those who wait ask again and again, in no order. Here they queue, and
        # who waited together commits together.
        self._group = GroupCommit(engine) if engine.dialect.name == "sqlite" else None

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a fresh transaction that only reads."""
        with self._engine.begin() as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and commit. It may be run several times; it touches nothing but the database.

        Raises:
            OutOfSpace: the database has no room; nothing was changed.
            sqlalchemy.exc.DBAPIError: the database does not answer; whether it committed is not known.
        """
        for attempt in range(_ATTEMPTS):
            try:
                if self._group is not None:
                    return self._group.run(work)
                with write_transaction(self._engine) as connection:
                    return work(connection)
            except DBAPIError as error:
                if _is_full(error):
                    raise OutOfSpace("The database has no room.") from error
                if attempt == _ATTEMPTS - 1 or not _met_another(error):
                    raise
            self._sleep(0.005 * 2**attempt)
        raise AssertionError("the last attempt returns or raises")


def _met_another(error: DBAPIError) -> bool:
    """Whether another transaction got in the way: a deadlock, a lock not got in time, the same new row.

    SQLite's "database is locked" is none of these: it comes after 10 s of waiting, and waiting again helps nobody.
    """
    if isinstance(error, IntegrityError):
        return True
    code = getattr(error.orig, "sqlstate", None)
    arguments = getattr(error.orig, "args", ())
    return code in _POSTGRES_MET or bool(arguments and arguments[0] in _MYSQL_MET)


def _is_full(error: DBAPIError) -> bool:
    arguments = getattr(error.orig, "args", ())
    return (
        "disk is full" in str(error.orig)
        or getattr(error.orig, "sqlstate", None) == "53100"
        or bool(arguments and arguments[0] in (1021, 1114))
    )
