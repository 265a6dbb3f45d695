"""The trash: deleted and replaced images, kept for a while, and then claimed by the collector.

A claim is final: a claimed entry is never restored, even if its object could not be removed yet.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, delete, exists, func, not_, select, update

from elastic_images.core.errors import Conflict, NotFound
from elastic_images.core.image_facts import Actor, ImageFacts, TrashEntry, TrashPage, TrashUsage
from elastic_images.storage.catalog.listing import Cursor, check_limit, decode_cursor, end_of_prefix, prefix_bytes
from elastic_images.storage.catalog.permissions import may_change
from elastic_images.storage.catalog.tables import image_changes, trash
from elastic_images.storage.catalog.transactions import RetryingTransactions
from elastic_images.storage.upkeep.leases import is_held

GRACE_SECONDS = 300.0
"""The shortest stay in the trash: a reader that saw the old row may be about to open the old object."""
CLAIM_SECONDS = 600.0
"""After this time, a claim whose process has died is taken over."""
_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 60.0, 3600.0
_USAGE_SECONDS = 5.0
_PURGE_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Trashed:
    """An entry that can be restored."""

    id: int
    facts: ImageFacts
    object_name: str
    owner_id: int | None
    deleted_at: float
    until: float

    def to_json(self) -> TrashEntry:
        """The entry as people see it."""
        return {
            "id": self.id,
            "key": self.facts.key,
            "version": self.facts.version,
            "deleted_at": self.deleted_at,
            "until": self.until,
            "size_bytes": self.facts.size_bytes,
            "owner": self.facts.owner,
        }


@dataclass(frozen=True, slots=True)
class Claimed:
    """An entry whose object is to be removed."""

    id: int
    object_name: str
    attempts: int


class Trash:
    """The entries in the database. Each method is one transaction, or several short ones; safe to share."""

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transactions = RetryingTransactions(engine)
        self._clock = clock
        self._monotonic = monotonic
        self._usage: tuple[float, TrashUsage] | None = None

    def page(self, actor: Actor, *, prefix: str = "", limit: int = 100, cursor: str | None = None) -> TrashPage:
        """One page of what `actor` may restore, by key, then oldest first.

        Raises:
            InvalidRequest: a bad limit, cursor or prefix.
        """
        last = decode_cursor(cursor, "trash") if cursor else None
        query = _by_key(_visible(actor, self._clock()), prefix, last).limit(check_limit(limit) + 1)
        rows = self._transactions.read(lambda connection: connection.execute(query).all())
        more = Cursor(rows[limit - 1].key, rows[limit - 1].id).encode("trash") if len(rows) > limit else None
        entries = [_trashed(row).to_json() for row in rows[:limit] if _is_theirs(actor, row)]
        return {"entries": entries, "next": more}

    def newest(self, actor: Actor, key: str) -> int | None:
        """The id of the newest entry of `key` that `actor` may restore."""
        query = _visible(actor, self._clock()).where(trash.c.key == key).order_by(trash.c.id.desc())
        rows = self._transactions.read(lambda connection: connection.execute(query.limit(1)).all())
        return next((row.id for row in rows if _is_theirs(actor, row)), None)

    def usage(self) -> TrashUsage:
        """The number of objects in the trash and their bytes, at most 5 s old. Reads an index, not the table."""
        now = self._monotonic()
        if self._usage is None or now >= self._usage[0] + _USAGE_SECONDS:
            query = select(func.count(), func.sum(trash.c.size_bytes))
            count, size_bytes = self._transactions.read(lambda connection: connection.execute(query).one())
            self._usage = now, {"trash_images": int(count), "trash_bytes": int(size_bytes or 0)}
        return self._usage[1]

    def purge(self, prefix: str = "") -> int:
        """Make all entries with that prefix due at once; gives their number. Raises InvalidRequest for a bad prefix."""
        purged, more, last = 0, True, None
        while more:
            batch, last = self._transactions.write(partial(self._purge_batch, prefix, last))
            purged, more = purged + batch, last is not None
        return purged

    def _purge_batch(self, prefix: str, last: Cursor | None, connection: Connection) -> tuple[int, Cursor | None]:
        now = self._clock()
        entries = _by_key(select(trash.c.id, trash.c.key).where(trash.c.until > now), prefix, last)
        rows = connection.execute(entries.limit(_PURGE_BATCH)).all()
        due = update(trash).where(trash.c.id.in_([row.id for row in rows])).values(until=now, next_attempt_at=now)
        purged = connection.execute(due).rowcount if rows else 0
        return purged, Cursor(rows[-1].key, rows[-1].id) if rows else None

    def claim(self, holder: str, limit: int) -> list[Claimed]:
        """Claim up to `limit` entries whose objects may be removed now: their changes are done. None during a backup.

        The caller removes the objects, then calls `forget` or `failed`.
        """

        def work(connection: Connection) -> list[Claimed]:
            now = self._clock()
            # The lease's row stays locked until the end, so claims of several processes take turns.
            if is_held(connection, "backup", now):
                return []
            pending = exists().where(
                image_changes.c.old_object == trash.c.object_name, image_changes.c.state == "pending"
            )
            due = and_(trash.c.until <= now, trash.c.next_attempt_at <= now)
            found = select(trash.c.id).where(due, ~pending).order_by(trash.c.until).limit(limit)
            ids = connection.execute(found).scalars().all()
            if not ids:
                return []
            # A restore may have taken some of them meanwhile.
            mine = update(trash).where(trash.c.id.in_(ids), due)
            connection.execute(mine.values(claimed_by=holder, next_attempt_at=now + CLAIM_SECONDS))
            columns = select(trash.c.id, trash.c.object_name, trash.c.attempts)
            rows = connection.execute(columns.where(trash.c.id.in_(ids), trash.c.claimed_by == holder)).all()
            return [Claimed(*row) for row in rows]

        return self._transactions.write(work)

    def forget(self, claimed: Collection[Claimed]) -> None:
        """Delete claimed entries: their objects are removed."""
        gone = delete(trash).where(trash.c.id.in_(sorted(one.id for one in claimed)))
        self._transactions.write(lambda connection: connection.execute(gone))

    def failed(self, claimed: Claimed) -> None:
        """Try again later, after a minute at first, after an hour at most: the object could not be removed."""
        delay = min(_LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** min(claimed.attempts, 10))
        again = update(trash).where(trash.c.id == claimed.id)
        again = again.values(attempts=claimed.attempts + 1, next_attempt_at=self._clock() + delay)
        self._transactions.write(lambda connection: connection.execute(again))

    def backlog(self) -> tuple[int, float | None]:
        """How many entries are due, and since when the oldest of them."""
        query = select(func.count(), func.min(trash.c.until)).where(trash.c.until <= self._clock())
        count, oldest = self._transactions.read(lambda connection: connection.execute(query).one())
        return int(count), oldest


def find_entry(connection: Connection, entry_id: int, actor: Actor, now: float, *, lock: bool = False) -> Trashed:
    """An entry that `actor` may restore; `lock` keeps the collector from claiming it until the transaction ends.

    Raises:
        NotFound: there is none, or it is not theirs.
        Conflict: its object is being removed, or nobody knows what it was.
    """
    query = select(*_COLUMNS, trash.c.claimed_by).where(trash.c.id == entry_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None or not _is_theirs(actor, row):
        raise NotFound(f"There is no entry {entry_id} in the trash.")
    if row.claimed_by is not None or row.until <= now:
        raise Conflict(f"{row.key!r} is being removed from the trash and cannot be restored.")
    if row.facts is None:
        raise Conflict(f"{row.key!r} was deleted before there was a trash and cannot be restored.")
    return _trashed(row)


def take_entry(connection: Connection, entry_id: int) -> None:
    """Delete the row of an entry that is locked: its object is in use again."""
    connection.execute(delete(trash).where(trash.c.id == entry_id))


def trash_row(facts: ImageFacts, object_name: str, owner_id: int | None, now: float, until: float) -> dict[str, Any]:
    """A new row of the table, for an image that is out of use from now on."""
    return {
        "key": facts.key,
        "version": facts.version,
        "object_name": object_name,
        "size_bytes": facts.size_bytes,
        "owner_id": owner_id,
        "facts": json.dumps(facts.to_json()),
        "deleted_at": now,
        "until": until,
        "claimed_by": None,
        "attempts": 0,
        "next_attempt_at": until,
    }


_COLUMNS = (
    trash.c.id,
    trash.c.key,
    trash.c.facts,
    trash.c.object_name,
    trash.c.owner_id,
    trash.c.deleted_at,
    trash.c.until,
)


def _visible(actor: Actor, now: float) -> Select[Any]:
    """The entries that can be restored, of those with the id of `actor`; all for administrators. See `_is_theirs`."""
    usable = and_(trash.c.until > now, trash.c.claimed_by.is_(None), trash.c.facts.is_not(None))
    query = select(*_COLUMNS).where(usable)
    if actor.admin:
        return query
    return query.where(trash.c.owner_id == actor.user if actor.user is not None else trash.c.owner_id.is_(None))


def _is_theirs(actor: Actor, row: Any) -> bool:
    if row.facts is None:
        return actor.admin or actor.user == row.owner_id
    return may_change(actor, ImageFacts.from_json(json.loads(row.facts)), row.owner_id)


def _trashed(row: Any) -> Trashed:
    facts = ImageFacts.from_json(json.loads(row.facts))
    return Trashed(row.id, facts, row.object_name, row.owner_id, row.deleted_at, row.until)


def _by_key(query: Select[Any], prefix: str, last: Cursor | None) -> Select[Any]:
    query = query.order_by(trash.c.key, trash.c.id)
    start = prefix_bytes(prefix)
    if prefix and (end := end_of_prefix(start)) is not None:
        query = query.where(trash.c.key < end)
    if last is not None and last.key.encode() >= start:
        passed = and_(trash.c.key == last.key, trash.c.id <= int(min(last.number, 2.0**53)))
        return query.where(trash.c.key >= last.key, not_(passed))
    return query.where(trash.c.key >= start) if prefix else query
