"""Signing keys.

MySQL commits each statement by itself, so every step can be taken again after an interruption.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(8), nullable=False),
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_signing_keys_user_id_users"),
        if_not_exists=True,
        **{
            f"{dialect}_{name}": value
            for dialect in ("mysql", "mariadb")
            for name, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
        },
    )
    if not any(
        index["name"] == "ix_signing_keys_user_id" for index in sa.inspect(op.get_bind()).get_indexes("signing_keys")
    ):
        op.create_index("ix_signing_keys_user_id", "signing_keys", ["user_id"])


def downgrade() -> None:
    """Undo."""
    op.drop_table("signing_keys")
