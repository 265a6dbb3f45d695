"""Transactions that turn database errors into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Connection, Engine, RowMapping, Select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from elastic_images.core.errors import Unavailable
from elastic_images.database.engine import write_transaction
from elastic_images.database.prepared import PreparedQuery

_VALUES_AT_ONCE = 500
_TROUBLE = (OperationalError, InterfaceError, PoolTimeout)


class Transactions:
    """Short transactions on one engine. Thread-safe.

    IntegrityError passes through: only the caller knows what it means.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.after_revocation: Callable[[], object] = lambda: None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction. Raises Unavailable if the database is not responding."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except _TROUBLE as error:
            raise Unavailable("The database is not responding.") from error

    def first(self, query: PreparedQuery, **values: Any) -> tuple[Any, ...] | None:
        """The first row of `query`. Raises Unavailable if the database is not responding."""
        try:
            return query.first(**values)
        except _TROUBLE as error:
            raise Unavailable("The database is not responding.") from error

    def rows_by(self, query: Select[Any], column: Column[Any], values: Sequence[Any]) -> list[RowMapping]:
        """The rows of `query` in which `column` has one of `values`. Raises Unavailable as `read`."""
        rows: list[RowMapping] = []
        if values:
            with self.read() as connection:
                for start in range(0, len(values), _VALUES_AT_ONCE):
                    some = column.in_(values[start : start + _VALUES_AT_ONCE])
                    rows += connection.execute(query.where(some)).mappings()
        return rows

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction. Raises Unavailable if the database is not responding."""
        try:
            with write_transaction(self.engine) as connection:
                yield connection
        except _TROUBLE as error:
            raise Unavailable("The database is not responding.") from error

    @contextmanager
    def revocation(self) -> Iterator[Connection]:
        """As `write`, for what takes rights away; `after_revocation` is called when that holds."""
        try:
            with self.write() as connection:
                yield connection
        finally:
            self.after_revocation()
