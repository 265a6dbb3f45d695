"""Copies every table from one database to another, of whatever kinds they are.

The target must be empty, or hold what an interrupted copy from the same origin left: a mark in it tells. An interrupted
copy is begun anew. While the mark is there, the target is no database to start a system on (`database.migrate`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, func, insert, inspect, select, text

from elastic_images.core.errors import Conflict, ElasticImagesError
from elastic_images.database.engine import write_transaction
from elastic_images.database.migrate import UNFINISHED_COPY, is_unfinished_copy, migrate, revision_of
from elastic_images.database.tables import import_all

Progress = Callable[[str, int], None]
"""Told a table's name and how many of its rows were copied since the last call."""
_BATCH = 500
_MARK = Table(UNFINISHED_COPY, MetaData(), Column("origin", String(64), primary_key=True))


class CopyDiffers(ElasticImagesError):
    """What was read back is not what was copied."""

    slug, title = "copy-differs", "Copy differs"


def check_target(target: Engine, origin: str) -> None:
    """Return where the target may be copied to. Changes nothing.

    Raises:
        Conflict: it holds something, or the unfinished copy of another origin.
    """
    if is_unfinished_copy(target):
        with target.connect() as connection:
            marks = connection.execute(select(_MARK.c.origin)).scalars().all()
        if [mark for mark in marks if mark != origin]:
            raise Conflict("The target database holds the unfinished copy of another system.")
        return
    present = set(inspect(target).get_table_names())
    for table in import_all().sorted_tables:
        if table.name in present and _holds_something(target, table):
            raise Conflict(f"The target database is not empty: its table {table.name} has rows.")


def copy_database(source: Engine, target: Engine, origin: str, progress: Progress) -> dict[str, int]:
    """Copy all rows, read them back and compare; gives the rows of each table.

    Nobody may write to the source. The target's mark stays until `finish_copy`.

    Raises:
        Conflict: see `check_target`; or the source has another schema than this version of the program.
        CopyDiffers: the target did not keep what it was given.
    """
    check_target(target, origin)
    _mark(target, origin)
    migrate(target, unfinished_copy=True)
    if revision_of(source) != revision_of(target):
        raise Conflict("The database is of another version than this program: start the system once, and stop it.")
    tables = import_all().sorted_tables
    _empty(target, tables)
    counts: dict[str, int] = {}
    with _snapshot(source) as reading:
        for table in tables:
            counts[table.name] = _copy_table(reading, target, table, progress)
    _advance_ids(target, tables)
    return counts


def finish_copy(target: Engine) -> None:
    """Remove the mark: the target is a database like any other."""
    _MARK.drop(target)


def _copy_table(reading: Connection, target: Engine, table: Table, progress: Progress) -> int:
    count, digest = 0, 0
    for rows in _batches(reading, table):
        with write_transaction(target) as writing:
            writing.execute(insert(table), rows)
        count, digest = count + len(rows), _add(digest, rows)
        progress(table.name, len(rows))
    with target.connect() as back:
        found = [len(rows) for rows in _batches(back, table)], _digest(back, table)
    if (sum(found[0]), found[1]) != (count, digest):
        raise CopyDiffers(f"The table {table.name} of the target differs from what was copied into it.")
    return count


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    result = connection.execution_options(yield_per=_BATCH).execute(select(table))
    for rows in result.mappings().partitions():
        yield [dict(row) for row in rows]


def _digest(connection: Connection, table: Table) -> int:
    digest = 0
    for rows in _batches(connection, table):
        digest = _add(digest, rows)
    return digest


def _add(digest: int, rows: list[dict[str, Any]]) -> int:
    """The rows' digests are added up: the order of rows, which depends on collations, does not matter."""
    for row in rows:
        digest += int.from_bytes(hashlib.sha256(repr(sorted(row.items())).encode()).digest())
    return digest % 2**256


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """All tables as of one moment."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            yield connection
        else:
            yield connection.execution_options(isolation_level="REPEATABLE READ")


def _holds_something(engine: Engine, table: Table) -> bool:
    """Any row; of the pool's state, which has one from the beginning, a change."""
    query = select(func.count()).select_from(table)
    if table.name == "pool_state":
        query = query.where(table.c.revision > 0)
    with engine.connect() as connection:
        return bool(connection.execute(query).scalar_one())


def _mark(target: Engine, origin: str) -> None:
    _MARK.create(target, checkfirst=True)
    with write_transaction(target) as connection:
        if connection.execute(select(_MARK.c.origin)).first() is None:
            connection.execute(insert(_MARK).values(origin=origin))


def _empty(target: Engine, tables: list[Table]) -> None:
    with write_transaction(target) as connection:
        for table in reversed(tables):
            connection.execute(table.delete())


def _advance_ids(target: Engine, tables: list[Table]) -> None:
    """PostgreSQL goes on counting where it was, not behind the ids that were copied in."""
    if target.dialect.name != "postgresql":
        return
    with write_transaction(target) as connection:
        for table in tables:
            column = table.autoincrement_column
            if column is not None:
                connection.execute(
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), "  # noqa: S608 - our names
                        f"(SELECT COALESCE(MAX({column.name}), 0) + 1 FROM {table.name}), false)"
                    )
                )
