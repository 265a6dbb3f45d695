"""Transactions of this room: none of the database's own errors crosses its door."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from elastic_images.core.errors import Unavailable
from elastic_images.database.engine import write_transaction
from elastic_images.database.prepared import PreparedQuery

_TROUBLE = (OperationalError, InterfaceError, PoolTimeout)


class Transactions:
    """Short transactions on one engine. Safe to share between threads.

    An IntegrityError is let through: only the store that wrote knows what it means.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises Unavailable where the database does not answer."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except _TROUBLE as error:
            raise Unavailable("The database does not answer.") from error

    def first(self, query: PreparedQuery, **values: Any) -> tuple[Any, ...] | None:
        """The row of `query`. Raises Unavailable where the database does not answer."""
        try:
            return query.first(**values)
        except _TROUBLE as error:
            raise Unavailable("The database does not answer.") from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes. Raises Unavailable where the database does not answer."""
        try:
            with write_transaction(self.engine) as connection:
                yield connection
        except _TROUBLE as error:
            raise Unavailable("The database does not answer.") from error
