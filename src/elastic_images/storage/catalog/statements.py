"""The SQL statements on the rows of one key, prepared (docs/decisions/prepared-statements.md)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, Select, bindparam, insert, select, update

from elastic_images.core.image_facts import ImageFacts
from elastic_images.database.prepared import PreparedStatement
from elastic_images.storage.catalog.tables import image_changes, image_keys, image_usage, images, trash

FACTS = [images.c[name] for name in ImageFacts.__slots__]
COLUMNS = [*FACTS, images.c.object_name, images.c.owner_id]
"""An image's metadata, then its object and its owner's id."""
ONE_IMAGE: Select[Any] = select(*COLUMNS).where(images.c.key == bindparam("key"))
_ANSWERS = (
    image_changes.c.id, image_changes.c.key, image_changes.c.answer, image_changes.c.created, image_changes.c.state
)  # fmt: skip
WRITE: Select[Any] = (
    select(*_ANSWERS).where(image_changes.c.write_id == bindparam("write_id")).order_by(image_changes.c.id)
)
"""The rows of a write; of a rename, first that of the new key."""

_LOCK = select(image_keys.c.version, image_keys.c.updated_at).where(image_keys.c.key == bindparam("key"))
_ADD = (
    update(image_usage)
    .where(image_usage.c.partition == bindparam("its_partition"))
    .values(
        images=image_usage.c.images + bindparam("more"), size_bytes=image_usage.c.size_bytes + bindparam("more_bytes")
    )
)


class WriteStatements:
    """The statements of a write, prepared for one engine. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        image = [column.name for column in COLUMNS]
        change = [column.name for column in image_changes.c if column.name != "id"]
        self.image = PreparedStatement(engine, ONE_IMAGE)
        self.write = PreparedStatement(engine, WRITE)
        self.lock = PreparedStatement(engine, _LOCK.with_for_update())
        self.new_key = PreparedStatement(engine, insert(image_keys), ["key", "version", "updated_at"])
        self.raise_key = PreparedStatement(
            engine, update(image_keys).where(image_keys.c.key == bindparam("its_key")), ["version", "updated_at"]
        )
        self.new_image = PreparedStatement(engine, insert(images), image)
        self.replace_image = PreparedStatement(
            engine, update(images).where(images.c.key == bindparam("its_key")), image
        )
        self.add_usage = PreparedStatement(engine, _ADD)
        self.new_trash = PreparedStatement(engine, insert(trash), [c.name for c in trash.c if c.name != "id"])
        self.new_change = PreparedStatement(engine, insert(image_changes), change)
