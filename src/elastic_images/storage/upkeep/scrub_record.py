"""The scrubber's progress in the database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, insert, select, update

from elastic_images.storage.catalog.tables import image_usage, scrub_progress, trash
from elastic_images.storage.catalog.transactions import RetryingTransactions


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


class ScrubRecord:
    """The one row of `scrub_progress`. Safe to share between threads."""

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
