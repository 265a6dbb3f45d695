"""The id of the object store, as the database knows it, and a sample of the objects that the store must have."""

from __future__ import annotations

import secrets
import time

from sqlalchemy import Engine, delete, func, insert, inspect, select

from elastic_images.database.engine import write_transaction
from elastic_images.storage.catalog.tables import images, store_identity

_SAMPLE = 100


def new_store_id() -> str:
    """A random id."""
    return secrets.token_hex(16)


def recorded_id(engine: Engine) -> str | None:
    """The id of this system's object store; None if it has none yet."""
    with engine.connect() as connection:
        return connection.execute(select(store_identity.c.store_id)).scalar_one_or_none()


def known_id(engine: Engine) -> str | None:
    """As `recorded_id`, for a database that may be older than store ids."""
    return recorded_id(engine) if inspect(engine).has_table(store_identity.name) else None


def record_id(engine: Engine, store_id: str) -> None:
    """Make this the id of the system's object store."""
    with write_transaction(engine) as connection:
        connection.execute(delete(store_identity))
        connection.execute(insert(store_identity).values(id=1, store_id=store_id, adopted_at=time.time()))


def count_images(engine: Engine) -> int:
    """The number of images in the catalog."""
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(images)).scalar_one())


def sample(engine: Engine) -> dict[str, int]:
    """Up to 101 objects of images, and their sizes, from all over the catalog."""
    found: dict[str, int] = {}
    one = select(images.c.object_name, images.c.size_bytes).order_by(images.c.object_name).limit(1)
    with engine.connect() as connection:
        for number in range(_SAMPLE):
            start = f"{number * 0x10000 // _SAMPLE:04x}"
            row = connection.execute(one.where(images.c.object_name >= start)).first()
            if row is None:
                break
            found[row.object_name] = row.size_bytes
        last = select(images.c.object_name, images.c.size_bytes).order_by(images.c.object_name.desc()).limit(1)
        found |= {row.object_name: row.size_bytes for row in connection.execute(last)}
    return found
