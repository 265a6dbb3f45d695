"""Records objects that were found damaged or lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select, update

from elastic_images.storage.catalog.listing import DEFAULT_LIMIT, Cursor, decode_cursor
from elastic_images.storage.catalog.tables import bad_objects, images, trash
from elastic_images.storage.catalog.transactions import RetryingTransactions
from elastic_images.storage.verified import BadObject, State

_log = logging.getLogger(__name__)
_AGAIN_SECONDS = 60.0
"""How often one process records the same object: every read of it finds it again."""


class BadObjects:
    """The record of bad objects. Safe to share between threads.

    A row counts while an image refers to its object: a new upload of the key ends it.
    """

    def __init__(
        self, engine: Engine, *, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._transactions = RetryingTransactions(engine)
        self._clock = clock
        self._monotonic = monotonic
        self._recorded: dict[str, tuple[str, float]] = {}

    def suspects(self, object_name: str) -> bool:
        """Whether this process found the object bad when it last read it."""
        return object_name in self._recorded

    def record(self, object_name: str, key: str, bad: BadObject) -> None:
        """Record an object and log it, at most once a minute. Never raises: the next read finds it again."""
        now = self._monotonic()
        state, recorded_at = self._recorded.get(object_name, ("", 0.0))
        if state == bad.state and now < recorded_at + _AGAIN_SECONDS:
            return
        self._recorded[object_name] = (bad.state, now)
        _log.error("image %r is %s: object %s: %s", key, bad.state, object_name, bad)
        found = {"key": key, "state": bad.state, "detail": str(bad)}
        row = bad_objects.c.object_name == object_name
        try:
            self._transactions.write(
                lambda connection: (
                    connection.execute(update(bad_objects).where(row).values(found)).rowcount
                    or connection.execute(
                        insert(bad_objects).values(object_name=object_name, found_at=self._clock(), **found)
                    )
                )
            )
        except Exception as error:  # noqa: BLE001 - the read that found it must get its own answer
            self._recorded[object_name] = ("", now)
            _log.warning("object %s could not be recorded: %s", object_name, type(error).__name__)

    def clear(self, object_name: str) -> None:
        """The object is as it should be."""
        self._recorded.pop(object_name, None)
        self._delete(bad_objects.c.object_name == object_name)

    def sweep(self) -> None:
        """Remove the rows of objects that no image and no entry of the trash refers to any more."""
        used = [select(table.c.object_name).where(table.c.object_name == bad_objects.c.object_name).exists()
                for table in (images, trash)]  # fmt: skip
        self._delete(~used[0] & ~used[1])

    def page(self, cursor: str | None = None) -> dict[str, Any]:
        """Images whose objects are bad, by key, and the cursor of the next page. Raises InvalidRequest."""
        query = (
            select(images.c.key, bad_objects.c.state, bad_objects.c.detail, bad_objects.c.found_at)
            .join_from(bad_objects, images, images.c.object_name == bad_objects.c.object_name)
            .order_by(images.c.key)
            .limit(DEFAULT_LIMIT + 1)
        )
        if cursor is not None:
            query = query.where(images.c.key > decode_cursor(cursor, "key").key)
        rows = self._transactions.read(lambda connection: connection.execute(query).all())
        listed = [
            {"key": row.key, "state": row.state, "detail": row.detail, "found_at": row.found_at}
            for row in rows[:DEFAULT_LIMIT]
        ]
        more = len(rows) > DEFAULT_LIMIT
        return {"images": listed, "next": Cursor(listed[-1]["key"]).encode("key") if more else None}

    def known(self, object_names: Sequence[str] | None = None) -> set[str]:
        """Those of these objects that are recorded; all that are recorded by default."""
        query = select(bad_objects.c.object_name)
        if object_names is not None:
            query = query.where(bad_objects.c.object_name.in_(object_names))
        return set(self._transactions.read(lambda connection: connection.execute(query).scalars().all()))

    def counts(self) -> dict[State, int]:
        """How many images are damaged, and how many are lost."""
        query = (
            select(bad_objects.c.state, func.count())
            .join_from(bad_objects, images, images.c.object_name == bad_objects.c.object_name)
            .group_by(bad_objects.c.state)
        )
        rows = self._transactions.read(lambda connection: connection.execute(query).all())
        found = {state: int(count) for state, count in rows}
        return {"damaged": found.get("damaged", 0), "lost": found.get("lost", 0)}

    def _delete(self, which: Any) -> None:
        self._transactions.write(lambda connection: connection.execute(delete(bad_objects).where(which)))
