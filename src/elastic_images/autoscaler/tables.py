"""The autoscaler's records: resizes, events, scaling decisions."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from elastic_images.database.base import Seconds, metadata

resizes = Table(
    "resizes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("started_at", Seconds, nullable=False),
    Column("finished_at", Seconds, nullable=True),
    Column("state", String(16), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("from_slots", String(64), nullable=False),
    Column("to_slots", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("outcome", String(16), nullable=True),
    Index("ix_resizes_finished_at", "finished_at"),
)
"""The journal. `state` is `open`, `closing`, `aborting` or `finished`, `epoch` that of the last step; both are written
in the transaction that changes the map. Slots are comma-separated numbers."""

pool_events = Table(
    "pool_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Seconds, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("slot", Integer, nullable=True),
    Column("epoch", BigInteger, nullable=True),
    Column("message", Text, nullable=False),
)

scaling_decisions = Table(
    "scaling_decisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Seconds, nullable=False),
    Column("policy", String(32), nullable=False),
    Column("action", String(8), nullable=False),
    Column("nodes_before", Integer, nullable=False),
    Column("nodes_after", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("inputs", Text, nullable=False),
)
"""`action` is `grow`, `shrink`, `hold` or `error`; `inputs` is JSON."""
