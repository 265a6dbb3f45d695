"""Compares the catalog with the object store. Read-only; may run while the system works."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, Table, select

from elastic_images.storage.catalog.tables import images, trash
from elastic_images.storage.catalog.transactions import RetryingTransactions
from elastic_images.storage.objects.object_store import CHUNK_BYTES, ObjectInfo, ObjectMissing, ObjectStore

YOUNG_SECONDS = 86_400.0
"""An object younger than this may belong to an upload under way."""
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Referenced:
    """An object as the catalog knows it."""

    object_name: str
    key: str
    size_bytes: int
    sha256: str


@dataclass(slots=True)
class Report:
    """The findings. In a healthy system every list is empty, except `young` and `partial`."""

    images: int = 0
    objects: int = 0
    waiting: int = 0
    """Objects in the trash."""
    young: list[ObjectInfo] = field(default_factory=list)
    """Unreferenced and less than a day old: running uploads, or what crashed ones left."""
    unreferenced: list[ObjectInfo] = field(default_factory=list)
    """Unreferenced and older: garbage."""
    partial: list[ObjectInfo] = field(default_factory=list)
    """Incomplete: running uploads, and what crashed ones left, which is removed after a day."""
    missing: list[Referenced] = field(default_factory=list)
    """Images whose bytes are missing."""
    wrong_size: list[Referenced] = field(default_factory=list)
    wrong_digest: list[Referenced] = field(default_factory=list)
    """Only filled if digests are checked."""

    @property
    def healthy(self) -> bool:
        """Every image has its bytes."""
        return not (self.missing or self.wrong_size or self.wrong_digest)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"healthy": self.healthy, **asdict(self)}


def fsck(store: ObjectStore, engine: Engine, *, now: float | None = None, check_digests: bool = False) -> Report:
    """Check every object and every image once. `check_digests` also reads all bytes.

    Raises:
        Unavailable: the object store cannot be read.
        sqlalchemy.exc.DBAPIError: the database does not answer.
    """
    return _Check(store, engine, time.time() if now is None else now, check_digests=check_digests).run()


class _Check:
    """One run. Both sides are read by object name, page by page, the store's page first."""

    def __init__(self, store: ObjectStore, engine: Engine, now: float, *, check_digests: bool) -> None:
        self._store = store
        self._transactions = RetryingTransactions(engine)
        self._now = now
        self._check_digests = check_digests
        self._report = Report()

    def run(self) -> Report:
        after = ""
        while page := self._store.list(after, _PAGE):
            self._compare({info.name: info for info in page}, after, page[-1].name)
            after = page[-1].name
        self._compare({}, after, None)
        self._report.partial = list(self._store.partials())
        return self._report

    def _compare(self, objects: dict[str, ObjectInfo], after: str, last: str | None) -> None:
        self._report.objects += len(objects)
        loose = dict(objects)
        for row in self._rows(after, last):
            self._report.images += 1
            info = loose.pop(row.object_name, None) or self._store.stat(row.object_name)
            self._look_at(row, info)
        waiting = self._named(trash, list(loose))
        self._report.waiting += len(waiting)
        # What was restored from the trash after its image's row was looked for.
        known = waiting | self._named(images, list(loose.keys() - waiting))
        for name, info in loose.items():
            if name not in known:
                old = info.created_at < self._now - YOUNG_SECONDS
                (self._report.unreferenced if old else self._report.young).append(info)

    def _look_at(self, row: Referenced, info: ObjectInfo | None) -> None:
        if info is None:
            if self._still_there(row):
                self._report.missing.append(row)
        elif info.size_bytes != row.size_bytes:
            self._report.wrong_size.append(row)
        elif self._check_digests and self._digest(row.object_name) not in (row.sha256, None):
            self._report.wrong_digest.append(row)

    def _rows(self, after: str, last: str | None) -> Iterator[Referenced]:
        """The catalog's objects with names above `after`, up to `last`."""
        columns = select(images.c.object_name, images.c.key, images.c.size_bytes, images.c.sha256)
        while True:
            query = columns.where(images.c.object_name > after).order_by(images.c.object_name).limit(_PAGE)
            if last is not None:
                query = query.where(images.c.object_name <= last)
            rows = self._transactions.read(partial(rows_of, query))
            yield from (Referenced(row.object_name, row.key, row.size_bytes, row.sha256) for row in rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1].object_name

    def _named(self, table: Table, names: list[str]) -> set[str]:
        """Those of `names` that the table refers to."""
        if not names:
            return set()
        query = select(table.c.object_name).where(table.c.object_name.in_(names))
        return set(self._transactions.read(lambda connection: connection.execute(query).scalars().all()))

    def _still_there(self, row: Referenced) -> bool:
        """Whether the image still has this object: it may have been replaced since its row was read."""
        query = select(images.c.key).where(images.c.object_name == row.object_name)
        return self._transactions.read(lambda connection: connection.execute(query).first()) is not None

    def _digest(self, name: str) -> str | None:
        digest = hashlib.sha256()
        try:
            with self._store.open(name) as found:
                while chunk := found.read(CHUNK_BYTES):
                    digest.update(chunk)
        except ObjectMissing:
            return None
        return digest.hexdigest()


def rows_of(query: Select[Any], connection: Connection) -> Sequence[Row[Any]]:
    """All rows of a query, in the caller's transaction."""
    return connection.execute(query).all()
