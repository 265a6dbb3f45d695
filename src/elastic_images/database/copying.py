"""Copies every table from one database to another, of any supported kind.

The target must be empty, or hold an interrupted copy from the same origin, as shown by a marker table. An interrupted
copy starts over. While the marker exists, no system starts on the target (`database.migrate`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, func, insert, inspect, select, text

from elastic_images.core.errors import Conflict, ElasticImagesError
from elastic_images.database.engine import write_transaction
from elastic_images.database.migrate import UNFINISHED_COPY, is_unfinished_copy, migrate, revision_of
from elastic_images.database.tables import import_all

Progress = Callable[[int], None]
"""Called with the number of rows copied since the last call."""
_BATCH = 500
_MARK = Table(UNFINISHED_COPY, MetaData(), Column("origin", String(64), primary_key=True))


class CopyDiffers(ElasticImagesError):
    """What was read back differs from what was copied."""

    slug, title = "copy-differs", "Copy differs"


def check_target(target: Engine, origin: str) -> None:
    """Check that the target may be copied to. Changes nothing.

    Raises:
        Conflict: it holds data, or the unfinished copy of another origin.
    """
    if is_unfinished_copy(target):
        with target.connect() as connection:
            marks = connection.execute(select(_MARK.c.origin)).scalars().all()
        if [mark for mark in marks if mark != origin]:
            raise Conflict("The target database holds an unfinished copy of another system.")
        return
    present = set(inspect(target).get_table_names())
    for table in import_all().sorted_tables:
        if table.name in present and _holds_something(target, table):
            raise Conflict(f"The target database is not empty: its table {table.name} has rows.")


def copy_database(source: Engine, target: Engine, origin: str, progress: Progress) -> dict[str, int]:
    """Copy all rows, read them back and compare. Gives the number of rows per table.

    Nothing may write to the source meanwhile. The target keeps its marker until `finish_copy`.

    Raises:
        Conflict: see `check_target`; or the source has another schema version than this program.
        CopyDiffers: the target does not hold what was copied.
    """
    check_target(target, origin)
    mark_unfinished(target, origin)
    migrate(target, unfinished_copy=True)
    if revision_of(source) != revision_of(target):
        raise Conflict("The database has another schema version: start and stop the system once, then try again.")
    tables = import_all().sorted_tables
    empty(target, tables)
    counts: dict[str, int] = {}
    with snapshot(source) as reading:
        for table in tables:
            counts[table.name] = _copy_table(reading, target, table, progress)
    advance_ids(target, tables)
    return counts


def finish_copy(target: Engine) -> None:
    """Remove the marker: the target is now an ordinary database."""
    _MARK.drop(target)


def _copy_table(reading: Connection, target: Engine, table: Table, progress: Progress) -> int:
    count, digest = 0, 0
    for rows in _batches(reading, table):
        with write_transaction(target) as writing:
            writing.execute(insert(table), rows)
        count, digest = count + len(rows), _add(digest, rows)
        progress(len(rows))
    with target.connect() as back:
        found = [len(rows) for rows in _batches(back, table)], _digest(back, table)
    if (sum(found[0]), found[1]) != (count, digest):
        raise CopyDiffers(f"The table {table.name} of the target differs from what was copied.")
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
    """Sum the rows' digests, so that their order, which depends on collations, does not matter."""
    for row in rows:
        digest += int.from_bytes(hashlib.sha256(repr(sorted(row.items())).encode()).digest())
    return digest % 2**256


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A consistent view of all tables."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            yield connection
        else:
            yield connection.execution_options(isolation_level="REPEATABLE READ")


def _holds_something(engine: Engine, table: Table) -> bool:
    """Whether the table has rows. The pool's state and the leases always do, so there only a change counts."""
    query = select(func.count()).select_from(table)
    if table.name == "pool_state":
        query = query.where(table.c.revision > 0)
    elif table.name == "upkeep_leases":
        query = query.where(table.c.until > 0)
    with engine.connect() as connection:
        return bool(connection.execute(query).scalar_one())


def mark_unfinished(target: Engine, origin: str) -> None:
    """Mark the target as being copied into, until `finish_copy`."""
    _MARK.create(target, checkfirst=True)
    with write_transaction(target) as connection:
        if connection.execute(select(_MARK.c.origin)).first() is None:
            connection.execute(insert(_MARK).values(origin=origin))


def empty(target: Engine, tables: Sequence[Table]) -> None:
    """Remove all rows."""
    with write_transaction(target) as connection:
        for table in reversed(tables):
            connection.execute(table.delete())


def advance_ids(target: Engine, tables: Sequence[Table]) -> None:
    """Move PostgreSQL's sequences past the copied ids."""
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
