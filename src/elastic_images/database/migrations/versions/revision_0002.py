"""Indexes to find the running resize and long-dead members; every table in utf8mb4.

On MariaDB, early versions of the first revision left tables in the database's default character set.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    _create("ix_resizes_finished_at", "resizes", "finished_at")
    _create("ix_pool_members_state_registered_at", "pool_members", "state", "registered_at")
    if "ix_pool_members_state" in _indexes("pool_members"):
        op.drop_index("ix_pool_members_state", "pool_members")
    if op.get_bind().dialect.name in ("mysql", "mariadb"):
        _convert_to_utf8mb4()


def downgrade() -> None:
    """Undo."""
    op.create_index("ix_pool_members_state", "pool_members", ["state"])
    op.drop_index("ix_pool_members_state_registered_at", "pool_members")
    op.drop_index("ix_resizes_finished_at", "resizes")


def _create(name: str, table: str, *columns: str) -> None:
    if name not in _indexes(table):
        op.create_index(name, table, list(columns))


def _indexes(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}


def _convert_to_utf8mb4() -> None:
    others = sa.text(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
        "AND table_type = 'BASE TABLE' AND table_collation <> 'utf8mb4_bin' AND table_name <> 'alembic_version'"
    )
    for name in op.get_bind().execute(others).scalars().all():
        op.execute(f"ALTER TABLE `{name}` CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
