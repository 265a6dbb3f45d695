"""The first tables: images, accounts, the pool, the autoscaler's records.

Column types are spelled out as they were then, not imported from the code: a migration never changes. MySQL commits
each statement on its own, so every step can be repeated after an interruption.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MYSQL = {
    f"{dialect}_{name}": value
    for dialect in ("mysql", "mariadb")
    for name, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    """Apply."""
    _images()
    _accounts()
    _pool()
    _autoscaler()


def downgrade() -> None:
    """Undo."""
    for table in (
        "scaling_decisions",
        "pool_events",
        "resizes",
        "pool_members",
        "pool_state",
        "login_attempts",
        "tokens",
        "sessions",
        "users",
        "image_usage",
        "image_changes",
        "image_keys",
        "images",
    ):
        op.drop_table(table)


def _images() -> None:
    _table(
        "images",
        _key("key"),
        _text("object_name", 32),
        _big("version"),
        _text("sha256", 64),
        _big("size_bytes"),
        _text("content_type", 32),
        _text("format", 8),
        _int("width"),
        _int("height"),
        _int("frames"),
        _big("owner_id", nullable=True),
        _text("owner", 255, nullable=True),
        _time("created_at"),
        _time("updated_at"),
        primary="key",
    )
    _index("ix_images_updated_at_key", "images", "updated_at", "key")
    _index("ix_images_object_name", "images", "object_name", unique=True)
    _table("image_keys", _key("key"), _big("version"), _time("updated_at"), primary="key")
    _table(
        "image_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        _text("write_id", 32),
        _key("key"),
        _big("version"),
        sa.Column("created", sa.Boolean(), nullable=False),
        _long_text("answer", nullable=True),
        _text("old_object", 32, nullable=True),
        _text("state", 8),
        _time("created_at"),
        _time("state_at"),
    )
    _index("ix_image_changes_write_id", "image_changes", "write_id", unique=True)
    _index("ix_image_changes_state", "image_changes", "state", "state_at")
    _index("ix_image_changes_old_object", "image_changes", "old_object")
    _table("image_usage", _plain_id("partition"), _big("images"), _big("size_bytes"), primary="partition")


def _accounts() -> None:
    _table(
        "users",
        _id(),
        _key("name"),
        _key("folded_name"),
        _text("password_hash", 255),
        _text("role", 16),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        _time("created_at"),
        sa.UniqueConstraint("folded_name", name="uq_users_folded_name"),
    )
    _table(
        "sessions",
        _id(),
        _text("digest", 64),
        _int("user_id"),
        _text("form_token", 64),
        _time("created_at"),
        _time("last_seen_at"),
        _time("expires_at"),
        _text("address", 64),
        _text("user_agent", 255),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id_users"),
        sa.UniqueConstraint("digest", name="uq_sessions_digest"),
    )
    _index("ix_sessions_user_id", "sessions", "user_id")
    _index("ix_sessions_expires_at", "sessions", "expires_at")
    _table(
        "tokens",
        _id(),
        _text("digest", 64),
        _int("user_id"),
        _text("label", 100),
        _text("scopes", 64),
        _time("created_at"),
        _time("last_used_at", nullable=True),
        _time("expires_at", nullable=True),
        _time("revoked_at", nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_tokens_user_id_users"),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
    )
    _index("ix_tokens_user_id", "tokens", "user_id")
    _table("login_attempts", _text("subject", 80), _int("attempts"), _time("window_started_at"), primary="subject")
    _index("ix_login_attempts_window_started_at", "login_attempts", "window_started_at")


def _pool() -> None:
    _table(
        "pool_state",
        _plain_id("id"),
        _big("revision"),
        _long_text("map", nullable=True),
        _long_text("config", nullable=True),
    )
    state = sa.table("pool_state", sa.column("id", sa.Integer), sa.column("revision", sa.BigInteger))
    if op.get_bind().execute(sa.select(state.c.id)).first() is None:
        op.bulk_insert(state, [{"id": 1, "revision": 0}])
    _table(
        "pool_members",
        _text("incarnation", 32),
        _text("id", 64),
        _text("kind", 8),
        _text("address", 255),
        _text("data_address", 255),
        _text("state", 8),
        _big("epoch"),
        _time("registered_at"),
        primary="incarnation",
    )
    _index("ix_pool_members_state", "pool_members", "state")


def _autoscaler() -> None:
    _table(
        "resizes",
        _id(),
        _time("started_at"),
        _time("finished_at", nullable=True),
        _text("state", 16),
        _big("epoch"),
        _int("wanted"),
        _text("from_slots", 64),
        _text("to_slots", 64),
        _long_text("reason"),
        _text("outcome", 16, nullable=True),
    )
    _table(
        "pool_events",
        _id(),
        _time("at"),
        _text("kind", 32),
        _int("slot", nullable=True),
        _big("epoch", nullable=True),
        _long_text("message"),
    )
    _table(
        "scaling_decisions",
        _id(),
        _time("at"),
        _text("policy", 32),
        _text("action", 8),
        _int("nodes_before"),
        _int("nodes_after"),
        _long_text("reason"),
        _long_text("inputs"),
    )


def _table(name: str, *parts: sa.Column[Any] | sa.Constraint, primary: str = "id") -> None:
    key = sa.PrimaryKeyConstraint(primary, name=f"pk_{name}")
    op.create_table(name, *parts, key, if_not_exists=True, **_MYSQL)


def _index(name: str, table: str, *columns: str, unique: bool = False) -> None:
    # MySQL has no IF NOT EXISTS for indexes.
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, list(columns), unique=unique)


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Integer(), autoincrement=True, nullable=False)


def _plain_id(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)


def _key(name: str) -> sa.Column[Any]:
    kind = sa.LargeBinary(1020).with_variant(mysql.VARBINARY(1020), "mysql", "mariadb")
    return sa.Column(name, kind, nullable=False)


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _long_text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _int(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _big(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=nullable)
