"""Compares the catalog with the object store. Read-only; may run while the system works."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Engine

from elastic_images.storage.bad_objects import BadObjects
from elastic_images.storage.catalog.references import Referenced, References
from elastic_images.storage.objects.object_store import ObjectInfo, ObjectStore
from elastic_images.storage.verified import BadObject, examine_object

YOUNG_SECONDS = 86_400.0
"""An object younger than this may belong to an upload under way."""
_PAGE = 500


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
        self._references = References(engine)
        self._suspects = BadObjects(engine).known()
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
        for row in self._references.between(after, last):
            info = loose.pop(row.object_name, None) or self._store.stat(row.object_name)
            self._report.images += not row.trash
            self._report.waiting += row.trash and info is not None
            self._look_at(row, info)
        known = self._references.known(loose) if loose else set()  # what the collector deletes, and recent changes
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
                if self._references.known([row.object_name]):
                    self._report.missing.append(row)
            elif info is None or info.size_bytes != row.size_bytes:
                self._report.wrong_size.append(row)
            else:
                self._report.wrong_digest.append(row)
        else:
            if suspect:
                self._report.recovered.append(row.object_name)
