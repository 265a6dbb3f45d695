"""Bounded tables: read newest first; the oldest rows are deleted when there are too many."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select

MAX_PAGE = 500


def append(connection: Connection, table: Table, keep: int, **values: Any) -> int:
    """Add a record and return its id; records that are `keep` ids older are deleted."""
    result = connection.execute(insert(table).values(**values))
    assert result.inserted_primary_key is not None  # noqa: S101 - SQLAlchemy gives it for a single INSERT
    number = int(result.inserted_primary_key[0])
    connection.execute(delete(table).where(table.c.id <= number - keep))
    return number


def newest(connection: Connection, table: Table, limit: int, before: int | None) -> list[dict[str, Any]]:
    """At most `limit` (bounded) records with an id below `before`, newest first."""
    query = select(table).order_by(table.c.id.desc()).limit(max(1, min(limit, MAX_PAGE)))
    if before is not None:
        query = query.where(table.c.id < before)
    return [dict(row) for row in connection.execute(query).mappings()]
