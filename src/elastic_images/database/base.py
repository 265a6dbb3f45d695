"""The shared MetaData, and column types that behave the same on every database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Double, LargeBinary, MetaData
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator

from elastic_images.core.keys import MAX_KEY_BYTES

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""All tables of the system; each room adds its own in its `tables.py`."""


class KeyText(TypeDecorator[str]):
    """A key, stored as UTF-8 bytes and compared by them, independent of collations."""

    impl = LargeBinary(MAX_KEY_BYTES).with_variant(mysql.VARBINARY(MAX_KEY_BYTES), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: str | bytes | None, dialect: Any) -> bytes | None:  # noqa: ARG002 - fixed signature
        """Encode a key."""
        return value.encode() if isinstance(value, str) else value

    def process_result_value(self, value: Any, dialect: Any) -> str | None:  # noqa: ARG002 - fixed signature
        """Decode a key."""
        return None if value is None else bytes(value).decode()


Seconds = Double
"""A time: seconds since the epoch, UTC."""
