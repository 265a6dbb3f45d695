"""The scrubber's progress in the database, and the objects that it reads."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Engine, func, insert, select, update

from elastic_images.storage.catalog.tables import image_usage, images, scrub_progress, trash
from elastic_images.storage.catalog.transactions import RetryingTransactions

_PAGE = 100


@dataclass(frozen=True, slots=True)
class ScrubProgress:
    """The current round, or the last one. Times are seconds since the epoch."""

    after: str = ""
    """The last object that was read; objects are read in the order of their names."""
    started_at: float | None = None
    finished_at: float | None = None
    """When the last whole round ended."""
    requested_at: float | None = None
    """Set while a requested round waits or runs."""
    objects: int = 0
    size_bytes: int = 0
    bad: int = 0

    @property
    def is_running(self) -> bool:
        """Whether a round was begun and has not ended."""
        return self.started_at is not None and (self.finished_at is None or self.finished_at < self.started_at)

    @property
    def is_requested(self) -> bool:
        """Whether a requested round has not begun."""
        return self.requested_at is not None and (self.started_at is None or self.started_at < self.requested_at)


class ReferencedObject(NamedTuple):
    """An object that an image or an entry of the trash refers to."""

    object_name: str
    key: str
    size_bytes: int
    sha256: str


class ScrubRecord:
    """The one row of `scrub_progress`, and queries of the objects. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._transactions = RetryingTransactions(engine)

    def progress(self) -> ScrubProgress:
        """How far it is."""
        columns = select(*(scrub_progress.c[name] for name in ScrubProgress.__slots__))
        row = self._transactions.read(lambda connection: connection.execute(columns).first())
        return ScrubProgress() if row is None else ScrubProgress(*row)

    def save(self, **values: object) -> None:
        """Change some of `ScrubProgress`."""
        new = {"id": 1, "after": "", "objects": 0, "size_bytes": 0, "bad": 0} | values
        self._transactions.write(
            lambda connection: (
                connection.execute(update(scrub_progress).values(values)).rowcount
                or connection.execute(insert(scrub_progress).values(new))
            )
        )

    def totals(self) -> tuple[int, int]:
        """Objects and bytes of a whole round."""
        usage = [func.coalesce(func.sum(column), 0) for column in (image_usage.c.images, image_usage.c.size_bytes)]
        kept = select(*usage)
        gone = select(func.count(), func.coalesce(func.sum(trash.c.size_bytes), 0)).select_from(trash)
        found = self._transactions.read(lambda connection: [connection.execute(query).one() for query in (kept, gone)])
        return sum(int(pair[0]) for pair in found), sum(int(pair[1]) for pair in found)

    def page(self, after: str) -> list[ReferencedObject]:
        """The next objects with names above `after`; an empty list at the end."""
        kept = select(images.c.object_name, images.c.key, images.c.size_bytes, images.c.sha256)
        # Entries from before there was a trash have no facts, and claimed ones are being deleted.
        gone = select(trash.c.object_name, trash.c.key, trash.c.size_bytes, trash.c.facts).where(
            trash.c.facts.is_not(None), trash.c.claimed_by.is_(None)
        )

        def rows(query: Any, name: Any) -> Sequence[Any]:
            page = query.where(name > after).order_by(name).limit(_PAGE)
            return self._transactions.read(lambda connection: connection.execute(page).all())

        listed = [ReferencedObject(*row[:4]) for row in rows(kept, images.c.object_name)]
        trashed = [
            ReferencedObject(row[0], row[1], row[2], json.loads(row[3])["sha256"])
            for row in rows(gone, trash.c.object_name)
        ]
        return list(islice(heapq.merge(listed, trashed), _PAGE))

    def is_referenced(self, name: str) -> bool:
        """Whether an image, or an unclaimed entry of the trash, still refers to the object."""
        queries = [
            select(images.c.key).where(images.c.object_name == name),
            select(trash.c.key).where(trash.c.object_name == name, trash.c.claimed_by.is_(None)),
        ]
        return self._transactions.read(
            lambda connection: any(connection.execute(query).first() is not None for query in queries)
        )
