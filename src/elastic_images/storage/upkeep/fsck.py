"""Compares the catalog with the object store. Read-only; may run while the system works."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import Column, CompoundSelect, Connection, Engine, Row, Select, select, union

from elastic_images.storage.catalog.catalog import PENDING
from elastic_images.storage.catalog.tables import bad_objects, image_changes, images, trash
from elastic_images.storage.catalog.transactions import RetryingTransactions
from elastic_images.storage.objects.object_store import ObjectInfo, ObjectStore
from elastic_images.storage.verified import BadObject, examine_object

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
    trash: bool = False
    """Whether the trash refers to it, rather than an image."""


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
    """Only checked for objects recorded as bad, unless all digests are checked."""
    recovered: list[str] = field(default_factory=list)
    """Objects recorded as bad that are as they should be."""

    @property
    def healthy(self) -> bool:
        """Every image, also in the trash, has its bytes."""
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
        self._suspects = self._names(select(bad_objects.c.object_name))
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
        for row in chain(self._images(after, last), self._trash(after, last)):
            info = loose.pop(row.object_name, None) or self._store.stat(row.object_name)
            self._report.images += not row.trash
            self._report.waiting += row.trash and info is not None
            self._look_at(row, info)
        known = self._names(references(loose)) if loose else set()  # what the collector deletes, and recent changes
        self._report.waiting += len(known)
        for name, info in loose.items():
            if name not in known:
                old = info.created_at < self._now - YOUNG_SECONDS
                (self._report.unreferenced if old else self._report.young).append(info)

    def _look_at(self, row: Referenced, info: ObjectInfo | None) -> None:
        suspect = row.object_name in self._suspects
        if info is not None and info.size_bytes == row.size_bytes and not (suspect or self._check_digests):
            return
        try:
            examine_object(self._store, row.object_name, row.size_bytes, row.sha256)
        except BadObject as bad:
            if bad.state == "lost":
                if self._names(references([row.object_name])):
                    self._report.missing.append(row)
            elif info is None or info.size_bytes != row.size_bytes:
                self._report.wrong_size.append(row)
            else:
                self._report.wrong_digest.append(row)
        else:
            if suspect:
                self._report.recovered.append(row.object_name)

    def _images(self, after: str, last: str | None) -> Iterator[Referenced]:
        """The objects of images with names above `after`, up to `last`."""
        columns = select(images.c.object_name, images.c.key, images.c.size_bytes, images.c.sha256)
        for row in self._pages(columns, images.c.object_name, after, last):
            yield Referenced(row.object_name, row.key, row.size_bytes, row.sha256)

    def _trash(self, after: str, last: str | None) -> Iterator[Referenced]:
        """The same for the trash, as far as it can be restored."""
        columns = select(trash.c.object_name, trash.c.key, trash.c.size_bytes, trash.c.facts)
        usable = columns.where(trash.c.claimed_by.is_(None), trash.c.facts.is_not(None))
        for row in self._pages(usable, trash.c.object_name, after, last):
            sha256 = json.loads(row.facts)["sha256"]
            yield Referenced(row.object_name, row.key, row.size_bytes, sha256, trash=True)

    def _pages(self, columns: Select[Any], name: Column[str], after: str, last: str | None) -> Iterator[Row[Any]]:
        while True:
            query = columns.where(name > after).order_by(name).limit(_PAGE)
            if last is not None:
                query = query.where(name <= last)
            rows = self._transactions.read(partial(rows_of, query))
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1].object_name

    def _names(self, query: Select[Any] | CompoundSelect[Any]) -> set[str]:
        return set(self._transactions.read(lambda connection: connection.execute(query).scalars().all()))


def references(names: Collection[str]) -> CompoundSelect[Any]:
    """A query for those of `names` that an image, the trash or a pending change refers to.

    One statement sees one moment, so it misses no object that moves from one table to another.
    """
    pending = select(image_changes.c.old_object).where(image_changes.c.state == PENDING)
    return union(
        select(images.c.object_name).where(images.c.object_name.in_(names)),
        select(trash.c.object_name).where(trash.c.object_name.in_(names)),
        pending.where(image_changes.c.old_object.in_(names)),
    )


def rows_of(query: Select[Any], connection: Connection) -> Sequence[Row[Any]]:
    """All rows of a query, in the caller's transaction."""
    return connection.execute(query).all()
