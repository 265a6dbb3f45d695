"""Images from older versions, which were examined for less than uploads are today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from elastic_images.storage.catalog.tables import images, unexamined
from elastic_images.storage.catalog.transactions import RetryingTransactions

_COUNTED = 100_000


class Unexamined:
    """The keys of such images. Safe to share between threads and processes.

    Raises SQLAlchemy's errors if the database does not answer.
    """

    def __init__(self, engine: Engine) -> None:
        self._transactions = RetryingTransactions(engine)

    def page(self, after: str | None, limit: int) -> list[str]:
        """Up to `limit` keys above `after` (None: from the first), in order."""
        query = select(unexamined.c.key).order_by(unexamined.c.key).limit(limit)
        query = query if after is None else query.where(unexamined.c.key > after)
        return list(self._transactions.read(lambda connection: connection.execute(query).scalars().all()))

    def count(self) -> int:
        """How many there are; from 100,000 on it is no longer counted."""
        some = select(unexamined.c.key).limit(_COUNTED).subquery()
        query = select(func.count()).select_from(some)
        return int(self._transactions.read(lambda connection: connection.execute(query).scalar_one()))

    def examined(self, key: str, version: int, found: Mapping[str, Any] | None) -> None:
        """Forget the key, and write what was found out about this version of its image, if anything.

        If the image has another version by now, the key stays, to be looked at again. Nothing of what caches hold
        depends on these columns, so that the version stays.
        """

        def work(connection: Connection) -> None:
            if found is not None:
                this = (images.c.key == key, images.c.version == version)
                if not connection.execute(update(images).where(*this).values(**found)).rowcount:
                    return
            connection.execute(delete(unexamined).where(unexamined.c.key == key))

        self._transactions.write(work)


def note_unexamined(connection: Connection, key: str) -> None:
    """Remember that the image of this key, whose row is locked, is still to be examined."""
    connection.execute(delete(unexamined).where(unexamined.c.key == key))
    connection.execute(insert(unexamined).values(key=key))
