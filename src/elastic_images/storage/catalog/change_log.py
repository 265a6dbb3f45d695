"""Changes after their commit: pending, done, forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import Engine, delete, select, update

from elastic_images.storage.catalog.catalog import DONE, PENDING
from elastic_images.storage.catalog.tables import image_changes, upload_nonces
from elastic_images.storage.catalog.transactions import RetryingTransactions

_FINISHED = (DONE, "clean")
"""Older versions marked a change as clean once its old object was removed."""


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A change that some caches may not know of yet."""

    id: int
    key: str


class ChangeLog:
    """The changes in the database. Each method is one transaction; safe to share between threads and processes."""

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.time) -> None:
        self._transactions = RetryingTransactions(engine)
        self._clock = clock

    def pending(self, before: float, limit: int = 500) -> list[PendingChange]:
        """Changes that have been pending since `before` (seconds since the epoch), oldest first."""
        query = (
            select(image_changes.c.id, image_changes.c.key)
            .where(image_changes.c.state == PENDING, image_changes.c.state_at <= before)
            .order_by(image_changes.c.state_at, image_changes.c.id)
            .limit(limit)
        )
        rows = self._transactions.read(lambda connection: connection.execute(query).all())
        return [PendingChange(row.id, row.key) for row in rows]

    def mark_done(self, ids: Collection[int]) -> None:
        """Mark pending changes as done: every cache was invalidated."""
        if not ids:
            return
        moved = (
            update(image_changes)
            .where(image_changes.c.id.in_(sorted(ids)), image_changes.c.state == PENDING)
            .values(state=DONE, state_at=self._clock())
        )
        self._transactions.write(lambda connection: connection.execute(moved))

    def forget_nonces(self, min_age_seconds: float) -> None:
        """Delete the nonces of upload links that expired that long ago."""
        gone = delete(upload_nonces).where(upload_nonces.c.until <= self._clock() - min_age_seconds)
        self._transactions.write(lambda connection: connection.execute(gone))

    def forget(self, min_age_seconds: float, limit: int = 500) -> int:
        """Delete the records of changes that have been done for that long, write ids included. Gives their number."""
        query = (
            select(image_changes.c.id)
            .where(image_changes.c.state.in_(_FINISHED), image_changes.c.state_at <= self._clock() - min_age_seconds)
            .limit(limit)
        )
        ids = self._transactions.read(lambda connection: connection.execute(query).scalars().all())
        if ids:
            gone = delete(image_changes).where(image_changes.c.id.in_(ids))
            self._transactions.write(lambda connection: connection.execute(gone))
        return len(ids)
