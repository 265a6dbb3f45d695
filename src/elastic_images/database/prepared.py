"""Frequent statements, compiled once and run by the driver's cursor (docs/decisions/prepared-statements.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Select
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine


class Executed(NamedTuple):
    """The result of a statement."""

    row: tuple[Any, ...] | None
    """The first row of a SELECT; None if there is none, and for other statements."""
    changed: int
    """How many rows an UPDATE or DELETE matched."""
    row_id: int
    """The id of an inserted row, if the table has auto-incremented ids."""


class PreparedStatement:
    """A statement with `bindparam`s, for any of the databases. Safe to share between threads.

    SQL and value processors are determined once, and it runs on the driver's own cursor: reading a row from SQLite
    takes 16 us this way, 121 us through SQLAlchemy, and 6 us in the driver itself (timeit).
    """

    def __init__(self, engine: Engine, statement: ClauseElement, columns: Sequence[str] = ()) -> None:
        """`columns`: what an INSERT or UPDATE sets in addition to its `values`; each is a parameter of that name."""
        self._dialect = dialect = engine.dialect
        compiled: Any = statement.compile(dialect=dialect, column_keys=list(columns))
        self._text = str(compiled)
        self._positions = tuple(compiled.positiontup or ())
        self._binds = {
            name: _of_type(bind.type, dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        selected = statement.selected_columns if isinstance(statement, Select) else ()
        self._types = [_of_type(column.type, dialect) for column in selected]
        self._results: list[tuple[int, Callable[[Any], Any]]] | None = None
        """Result processors by column; known once the driver has reported its types."""

    def run(self, connection: Connection, **values: Any) -> Executed:
        """Run it with the parameters `values` in the transaction of `connection`.

        Raises SQLAlchemy's errors, as usual; a lost connection is invalidated.
        """
        try:
            cursor = connection.connection.cursor()
            cursor.execute(self._text, self._bound(values))
            row = cursor.fetchone() if cursor.description else None
            if self._types:
                done = Executed(self._processed(row, cursor), cursor.rowcount, 0)
            else:
                # PostgreSQL returns the id of an INSERT as a row, the others as an attribute of the cursor.
                done = Executed(None, cursor.rowcount, row[0] if row else getattr(cursor, "lastrowid", 0))
            cursor.close()
        except Exception as error:
            self._invalidate_if_lost(connection, error)
            raise self._wrapped(error) from error
        return done

    def _processed(self, row: Sequence[Any] | None, cursor: Any) -> tuple[Any, ...] | None:
        if row is None:
            return None
        results = self._results
        if results is None:
            results = self._results = self._processes([column[1] for column in cursor.description])
        processed = list(row)
        for place, process in results:
            processed[place] = process(processed[place])
        return tuple(processed)

    def _bound(self, values: dict[str, Any]) -> Any:
        bound = {
            name: values[name] if process is None else process(values[name]) for name, process in self._binds.items()
        }
        return tuple(bound[name] for name in self._positions) if self._positions else bound

    def _processes(self, kinds: list[Any]) -> list[tuple[int, Callable[[Any], Any]]]:
        found = [kind.result_processor(self._dialect, code) for kind, code in zip(self._types, kinds, strict=True)]
        return [(place, process) for place, process in enumerate(found) if process is not None]

    def _invalidate_if_lost(self, connection: Connection, error: Exception) -> None:
        from_driver = isinstance(error, self._dialect.loaded_dbapi.Error)
        if from_driver and self._dialect.is_disconnect(error, connection.connection, None):  # type: ignore[arg-type]
            connection.invalidate(error)

    def _wrapped(self, error: Exception) -> BaseException:
        return DBAPIError.instance(
            self._text, None, error, self._dialect.loaded_dbapi.Error, hide_parameters=True, dialect=self._dialect
        )


class PreparedQuery:
    """A SELECT of at most one row, in a transaction of its own. Safe to share between threads."""

    def __init__(self, engine: Engine, query: Select[Any]) -> None:
        self._engine = engine
        self._statement = PreparedStatement(engine, query)

    def first(self, **values: Any) -> tuple[Any, ...] | None:
        """The row for the parameters `values`, read in a fresh transaction; None if there is none.

        Raises SQLAlchemy's errors, as usual, and then invalidates the connection.
        """
        with self._engine.connect() as connection:
            try:
                return self._statement.run(connection, **values).row
            except Exception as error:
                connection.invalidate(error)
                raise


def _of_type(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)
