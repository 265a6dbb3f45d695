"""Visibility, changes of several keys, upload links, images by their SHA-256.

MySQL commits each statement by itself, so every step can be taken again after an interruption.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    if "visibility" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("images")}:
        op.add_column("images", sa.Column("visibility", sa.String(8), nullable=False, server_default="public"))
    _index("ix_images_sha256_key", "images", "sha256", "key")
    _index("ix_image_changes_write_id_key", "image_changes", "write_id", "key", unique=True)
    if "ix_image_changes_write_id" in _indexes("image_changes"):
        op.drop_index("ix_image_changes_write_id", "image_changes")
    op.create_table(
        "upload_nonces",
        sa.Column("nonce", sa.String(32), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("nonce", name="pk_upload_nonces"),
        if_not_exists=True,
        **{
            f"{dialect}_{name}": value
            for dialect in ("mysql", "mariadb")
            for name, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
        },
    )
    _index("ix_upload_nonces_until", "upload_nonces", "until")


def downgrade() -> None:
    """Undo."""
    op.drop_table("upload_nonces")
    op.create_index("ix_image_changes_write_id", "image_changes", ["write_id"], unique=True)
    op.drop_index("ix_image_changes_write_id_key", "image_changes")
    op.drop_index("ix_images_sha256_key", "images")
    op.drop_column("images", "visibility")


def _index(name: str, table: str, *columns: str, unique: bool = False) -> None:
    # MySQL has no IF NOT EXISTS for indexes.
    if name not in _indexes(table):
        op.create_index(name, table, list(columns), unique=unique)


def _indexes(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
