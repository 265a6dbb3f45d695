"""Which objects the catalog refers to: those of images, and those in the trash that can be restored."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Engine, Select, literal, select, union, union_all

from elastic_images.storage.catalog.catalog import PENDING
from elastic_images.storage.catalog.tables import image_changes, images, trash
from elastic_images.storage.catalog.transactions import RetryingTransactions

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Referenced:
    """An object as the catalog knows it."""

    object_name: str
    key: str
    size_bytes: int
    sha256: str
    trash: bool = False
    """Whether the trash refers to it, rather than an image."""


class References:
    """Queries by the objects' names. Safe to share between threads.

    Each is one statement, which sees one moment: it misses no object that moves from one table to another. Claimed
    entries of the trash, and those from before there was a trash, are left out: nothing can bring them back.
    """

    def __init__(self, engine: Engine) -> None:
        self._transactions = RetryingTransactions(engine)

    def between(self, after: str = "", last: str | None = None) -> Iterator[Referenced]:
        """The objects with names above `after`, up to `last`, in the order of their names."""
        while page := self.page(after, last):
            yield from page
            after = page[-1].object_name

    def page(self, after: str, last: str | None = None) -> list[Referenced]:
        """The first few of them; an empty list at the end."""
        return self._where(lambda name: (name > after) if last is None else (name > after) & (name <= last))

    def has(self, object_name: str) -> bool:
        """Whether the object is one of them."""
        return bool(self._where(lambda name: name == object_name))

    def known(self, names: Collection[str]) -> set[str]:
        """Those of `names` that an image, the whole trash or a pending change refers to."""
        pending = select(image_changes.c.old_object).where(image_changes.c.state == PENDING)
        query = union(
            select(images.c.object_name).where(images.c.object_name.in_(names)),
            select(trash.c.object_name).where(trash.c.object_name.in_(names)),
            pending.where(image_changes.c.old_object.in_(names)),
        )
        return set(self._transactions.read(lambda connection: connection.execute(query).scalars().all()))

    def _where(self, condition: Callable[[Column[str]], ColumnElement[bool]]) -> list[Referenced]:
        def part(query: Select[Any], name: Column[str]) -> Select[Any]:
            return select(query.where(condition(name)).order_by(name).limit(_PAGE).subquery())

        both = union_all(part(_IMAGES, images.c.object_name), part(_TRASH, trash.c.object_name))
        query = both.order_by("object_name").limit(_PAGE)
        rows = self._transactions.read(lambda connection: connection.execute(query).all())
        return [
            Referenced(name, key, size, json.loads(facts)["sha256"] if facts else sha256, trash=bool(facts))
            for name, key, size, sha256, facts in rows
        ]


_IMAGES = select(images.c.object_name, images.c.key, images.c.size_bytes, images.c.sha256, literal("").label("facts"))
_TRASH = select(trash.c.object_name, trash.c.key, trash.c.size_bytes, literal("").label("sha256"), trash.c.facts).where(
    trash.c.claimed_by.is_(None), trash.c.facts.is_not(None)
)
