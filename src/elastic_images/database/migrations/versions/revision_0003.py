"""Store identity, trash, damaged and lost objects, the scrubber's progress, leases of upkeep, more facts of images.

Objects that changes took out of use before this revision move into the trash, without facts: they cannot be restored,
and are due at once. MySQL commits each statement by itself, so every step can be taken again after an interruption.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MYSQL = {
    f"{dialect}_{name}": value
    for dialect in ("mysql", "mariadb")
    for name, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    """Apply."""
    _table(
        "store_identity",
        _row(),
        sa.Column("store_id", sa.String(32), nullable=False),
        _time("adopted_at"),
        primary="id",
    )
    _table(
        "trash",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        _key("key"),
        _big("version"),
        sa.Column("object_name", sa.String(32), nullable=False),
        _big("size_bytes"),
        _big("owner_id", nullable=True),
        sa.Column("facts", sa.Text(), nullable=True),
        _time("deleted_at"),
        _time("until"),
        sa.Column("claimed_by", sa.String(32), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _time("next_attempt_at"),
        sqlite_autoincrement=True,
    )
    _index("ix_trash_object_name", "trash", "object_name", unique=True)
    _index("ix_trash_until", "trash", "until", "next_attempt_at", "size_bytes")
    _index("ix_trash_key_id", "trash", "key", "id")
    _index("ix_trash_owner_id_key_id", "trash", "owner_id", "key", "id")
    _table(
        "bad_objects",
        sa.Column("object_name", sa.String(32), nullable=False),
        _key("key"),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("detail", sa.String(255), nullable=False),
        _time("found_at"),
        primary="object_name",
    )
    _table(
        "scrub_progress",
        _row(),
        sa.Column("after", sa.String(32), nullable=False),
        _time("started_at", nullable=True),
        _time("finished_at", nullable=True),
        _time("requested_at", nullable=True),
        _big("objects"),
        _big("size_bytes"),
        _big("bad"),
        primary="id",
    )
    _table(
        "upkeep_leases",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        _time("until"),
        primary="name",
    )
    _make_leases()
    _trash_old_objects()
    _prepare_examination()


def downgrade() -> None:
    """Undo."""
    for table in ("upkeep_leases", "scrub_progress", "bad_objects", "trash", "store_identity", "unexamined"):
        op.drop_table(table)
    for column in _details():
        op.drop_column("images", column.name)


def _make_leases() -> None:
    leases = sa.table("upkeep_leases", sa.column("name"), sa.column("holder"), sa.column("until"))
    known = set(op.get_bind().execute(sa.select(leases.c.name)).scalars())
    for name in ("backup", "scrub", "examine"):
        if name not in known:
            op.execute(leases.insert().values(name=name, holder="", until=0.0))


def _trash_old_objects() -> None:
    changes = sa.table("image_changes", *map(sa.column, ("key", "version", "old_object", "state", "state_at")))
    trash = sa.table("trash", *map(sa.column, _TRASH))
    zero, none = sa.literal(0), sa.null()
    c = changes.c
    old = sa.select(
        c.key, c.version - 1, c.old_object, zero, none, none, c.state_at, c.state_at, none, zero, c.state_at
    )
    known = sa.exists().where(trash.c.object_name == c.old_object)
    waiting = old.where(c.old_object.is_not(None), c.state != "clean", ~known)
    op.execute(trash.insert().from_select(list(_TRASH), waiting))


def _prepare_examination() -> None:
    """New columns of images, and a list of the images that have none of it."""
    known = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("images")}
    for column in _details():
        if column.name not in known:
            op.add_column("images", column)
    _table("unexamined", _key("key"), primary="key")
    images, unexamined = sa.table("images", sa.column("key")), sa.table("unexamined", sa.column("key"))
    missing = sa.select(images.c.key).where(~sa.exists().where(unexamined.c.key == images.c.key))
    op.execute(unexamined.insert().from_select(["key"], missing))


def _details() -> list[sa.Column[Any]]:
    return [
        sa.Column("stored_width", sa.Integer(), nullable=True),
        sa.Column("stored_height", sa.Integer(), nullable=True),
        sa.Column("orientation", sa.Integer(), nullable=True),
        sa.Column("has_alpha", sa.Boolean(), nullable=True),
        sa.Column("has_location", sa.Boolean(), nullable=True),
        sa.Column("location_removed", sa.Boolean(), nullable=True),
        sa.Column("damaged_tail", sa.Boolean(), nullable=True),
        sa.Column("colour_profile", sa.String(64), nullable=True),
        sa.Column("taken_at", sa.String(32), nullable=True),
        sa.Column("thumbhash", sa.String(48), nullable=True),
    ]


_TRASH = (
    "key",
    "version",
    "object_name",
    "size_bytes",
    "owner_id",
    "facts",
    "deleted_at",
    "until",
    "claimed_by",
    "attempts",
    "next_attempt_at",
)


def _table(name: str, *parts: sa.Column[Any], primary: str = "id", **options: Any) -> None:
    key = sa.PrimaryKeyConstraint(primary, name=f"pk_{name}")
    op.create_table(name, *parts, key, if_not_exists=True, **_MYSQL, **options)


def _index(name: str, table: str, *columns: str, unique: bool = False) -> None:
    # MySQL has no IF NOT EXISTS for indexes.
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, list(columns), unique=unique)


def _row() -> sa.Column[Any]:
    return sa.Column("id", sa.Integer(), autoincrement=False, nullable=False)


def _key(name: str) -> sa.Column[Any]:
    kind = sa.LargeBinary(1020).with_variant(mysql.VARBINARY(1020), "mysql", "mariadb")
    return sa.Column(name, kind, nullable=False)


def _big(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=nullable)
