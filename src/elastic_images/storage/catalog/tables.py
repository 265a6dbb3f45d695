"""The catalog's tables: metadata, never bytes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from elastic_images.database.base import KeyText, Seconds, metadata

RowId = BigInteger().with_variant(Integer, "sqlite")
"""An id that the database counts up; SQLite does so for INTEGER only."""

images = Table(
    "images",
    metadata,
    Column("key", KeyText, primary_key=True),
    Column("object_name", String(32), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("content_type", String(32), nullable=False),
    Column("format", String(8), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("owner_id", BigInteger, nullable=True),
    Column("owner", String(255), nullable=True),
    Column("created_at", Seconds, nullable=False),
    Column("updated_at", Seconds, nullable=False),
    Index("ix_images_updated_at_key", "updated_at", "key"),
    Index("ix_images_object_name", "object_name", unique=True),
)
"""The images there are. No row outlives its image, so that a listing meets nothing but images."""

image_keys = Table(
    "image_keys",
    metadata,
    Column("key", KeyText, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("updated_at", Seconds, nullable=False),
)
"""Every key that was ever written: its version and time live on over deletions. Whoever changes a key locks its row."""

image_changes = Table(
    "image_changes",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("write_id", String(32), nullable=False),
    Column("key", KeyText, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created", Boolean, nullable=False),
    Column("answer", Text, nullable=True),
    Column("old_object", String(32), nullable=True),
    Column("state", String(8), nullable=False),
    Column("created_at", Seconds, nullable=False),
    Column("state_at", Seconds, nullable=False),
    Index("ix_image_changes_write_id", "write_id", unique=True),
    Index("ix_image_changes_state", "state", "state_at"),
    Index("ix_image_changes_old_object", "old_object"),
)
"""What was changed: `pending` until every cache is told, `done`, and `clean` when the old object is gone.

`answer` is the image's metadata (JSON) as of this write, None for a deletion: a repeated write is answered by it.
"""

image_usage = Table(
    "image_usage",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("images", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)
"""Counters, a row for each of the 16 partitions: exact, and writers of different keys seldom meet on one."""
