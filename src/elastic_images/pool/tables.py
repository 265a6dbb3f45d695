"""The pool's tables: one row with the map and the configuration, and a row for each member's incarnation."""

from __future__ import annotations

from sqlalchemy import DDL, BigInteger, Column, Index, Integer, String, Table, Text, event

from elastic_images.database.base import Seconds, metadata

pool_state = Table(
    "pool_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    Column("map", Text, nullable=True),
    Column("config", Text, nullable=True),
)
"""Row 1 is the pool. `revision` grows with each change of the map, the members or the configuration."""

FIRST_ROW = "INSERT INTO pool_state (id, revision) VALUES (1, 0)"
event.listen(pool_state, "after_create", DDL(FIRST_ROW))  # type: ignore[no-untyped-call]

pool_members = Table(
    "pool_members",
    metadata,
    Column("incarnation", String(32), primary_key=True),
    Column("id", String(64), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("address", String(255), nullable=False),
    Column("data_address", String(255), nullable=False),
    Column("state", String(8), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("registered_at", Seconds, nullable=False),
    Index("ix_pool_members_state_registered_at", "state", "registered_at"),
)
"""A dead incarnation stays for an hour, so it can learn of its death, and is then forgotten."""
