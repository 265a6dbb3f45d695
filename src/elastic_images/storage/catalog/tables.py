"""The catalog's tables: metadata, never bytes."""

from __future__ import annotations

from sqlalchemy import DDL, BigInteger, Boolean, Column, Index, Integer, String, Table, Text, event

from elastic_images.database.base import KeyText, Seconds, metadata

RowId = BigInteger().with_variant(Integer, "sqlite")
"""An auto-incremented id; SQLite only has them for INTEGER."""

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
    Column("stored_width", Integer, nullable=True),
    Column("stored_height", Integer, nullable=True),
    Column("orientation", Integer, nullable=True),
    Column("has_alpha", Boolean, nullable=True),
    Column("has_location", Boolean, nullable=True),
    Column("location_removed", Boolean, nullable=True),
    Column("damaged_tail", Boolean, nullable=True),
    Column("colour_profile", String(64), nullable=True),
    Column("taken_at", String(32), nullable=True),
    Column("thumbhash", String(48), nullable=True),
    Column("visibility", String(8), nullable=False, server_default="public"),
    Index("ix_images_updated_at_key", "updated_at", "key"),
    Index("ix_images_object_name", "object_name", unique=True),
    Index("ix_images_sha256_key", "sha256", "key"),
)
"""The current images. Deleted images have no row, so listings need no filter."""

unexamined = Table(
    "unexamined",
    metadata,
    Column("key", KeyText, primary_key=True),
)
"""Images from older versions, whose columns from `stored_width` on are still empty (`upkeep.examiner`)."""

image_keys = Table(
    "image_keys",
    metadata,
    Column("key", KeyText, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("updated_at", Seconds, nullable=False),
)
"""Every key ever written: its version and time survive deletions. Each change of a key locks its row."""

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
    Index("ix_image_changes_write_id_key", "write_id", "key", unique=True),
    Index("ix_image_changes_state", "state", "state_at"),
    Index("ix_image_changes_old_object", "old_object"),
)
"""Changes: `pending` until every cache is invalidated, then `done`. (`clean` is an older version's word for done.)

`answer` is the image's metadata (JSON) as of this write, None for a deletion; a repeated write gets it again. A rename
has two rows with one write id: first that of the new key, then that of the old one.
"""

upload_nonces = Table(
    "upload_nonces",
    metadata,
    Column("nonce", String(32), primary_key=True),
    Column("until", Seconds, nullable=False),
    Index("ix_upload_nonces_until", "until"),
)
"""Upload links that were used: each counts once, and is kept at least until the link expires."""

image_usage = Table(
    "image_usage",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("images", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)
"""Exact counters, one row per partition (16), so that writers of different keys rarely contend."""

trash = Table(
    "trash",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("key", KeyText, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("object_name", String(32), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("owner_id", BigInteger, nullable=True),
    Column("facts", Text, nullable=True),
    Column("deleted_at", Seconds, nullable=False),
    Column("until", Seconds, nullable=False),
    Column("claimed_by", String(32), nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Seconds, nullable=False),
    Index("ix_trash_object_name", "object_name", unique=True),
    Index("ix_trash_until", "until", "next_attempt_at", "size_bytes"),
    Index("ix_trash_key_id", "key", "id"),
    Index("ix_trash_owner_id_key_id", "owner_id", "key", "id"),
    sqlite_autoincrement=True,  # an id that people have seen never comes to mean another entry
)
"""Deleted and replaced images, kept until `until`. `facts` is the image's metadata (JSON) as it was.

Rows from before the trash existed have no facts: they cannot be restored. The collector claims a row before it unlinks
the object (`claimed_by`), and tries again at `next_attempt_at` if that fails.
"""

store_identity = Table(
    "store_identity",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("store_id", String(32), nullable=False),
    Column("adopted_at", Seconds, nullable=False),
)
"""One row (id 1): the random id that the object store of this catalog carries, too."""

bad_objects = Table(
    "bad_objects",
    metadata,
    Column("object_name", String(32), primary_key=True),
    Column("key", KeyText, nullable=False),
    Column("state", String(8), nullable=False),
    Column("detail", String(255), nullable=False),
    Column("found_at", Seconds, nullable=False),
)
"""Objects found `damaged` or `lost`. A row counts while an image still refers to its object."""

scrub_progress = Table(
    "scrub_progress",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("after", String(32), nullable=False),
    Column("started_at", Seconds, nullable=True),
    Column("finished_at", Seconds, nullable=True),
    Column("requested_at", Seconds, nullable=True),
    Column("objects", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("bad", BigInteger, nullable=False),
)
"""One row (id 1): how far the current round of the scrubber is. Objects are read in the order of their names."""

upkeep_leases = Table(
    "upkeep_leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until", Seconds, nullable=False),
)
"""Which process does a job of which there is one at a time: `scrub`, `backup`. A lease counts until `until`.

The rows are always there, so that they can be locked.
"""

LEASE_ROWS = (
    "INSERT INTO upkeep_leases (name, holder, until) VALUES ('backup', '', 0), ('scrub', '', 0), ('examine', '', 0)"
)
event.listen(upkeep_leases, "after_create", DDL(LEASE_ROWS))  # type: ignore[no-untyped-call]
