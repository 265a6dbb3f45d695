"""The catalog: which images there are, and every change of them, in the database.

No statement scans a table: each uses a primary key or an index.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    and_,
    case,
    delete,
    func,
    insert,
    not_,
    select,
    update,
)

from elastic_images.core.errors import Conflict, InvalidRequest, LinkUsed, NotFound, Unavailable
from elastic_images.core.image_facts import Actor, ImageFacts, Neighbours, Usage
from elastic_images.core.partitions import partition_of
from elastic_images.core.restored_facts import RestoredFacts
from elastic_images.core.upload_nonce import UploadNonce
from elastic_images.core.visibility import Visibility, may_see
from elastic_images.database.prepared import PreparedQuery
from elastic_images.storage.catalog.listing import (
    CatalogPage,
    Cursor,
    Order,
    check_limit,
    decode_cursor,
    end_of_prefix,
    prefix_bytes,
)
from elastic_images.storage.catalog.permissions import check_may_change
from elastic_images.storage.catalog.statements import COLUMNS, FACTS, ONE_IMAGE, WRITE, WriteStatements
from elastic_images.storage.catalog.tables import image_changes, image_keys, image_usage, images, trash, upload_nonces
from elastic_images.storage.catalog.transactions import RetryingTransactions
from elastic_images.storage.catalog.trash import GRACE_SECONDS, find_entry, take_entry, trash_row
from elastic_images.storage.catalog.unexamined import note_unexamined
from elastic_images.storage.catalog.visible import keys_by_digest, visible_to
from elastic_images.storage.conditions import NO_CONDITIONS, Conditions

MAX_OBJECT_AGE_SECONDS = 3600.0
"""An older object is not committed: `fsck` must be able to tell garbage from running uploads."""
MIN_STEP_SECONDS = 1.0
"""The time of a key grows by at least this much with each change, so that Last-Modified grows."""

_NEVER = 0
"""The version of a write that was cancelled before it took effect; images start at 1."""
PENDING, DONE = "pending", "done"


@dataclass(frozen=True, slots=True)
class CatalogImage:
    """A row: the image's metadata, its object, and its owner's id."""

    facts: ImageFacts
    object_name: str
    owner_id: int | None


@dataclass(frozen=True, slots=True)
class NewImage:
    """What a put commits. The version and times in `facts` are set in the transaction."""

    write_id: str
    facts: ImageFacts
    object_name: str
    begun_at: float
    """When the object was started, by the catalog's monotonic clock."""
    kept: RestoredFacts | None = None
    """Metadata to restore, except a version or time that would go back."""
    visibility: Visibility | None = None
    """As asked for. None: the restored one, else what it was, else, for a new image, what `facts` say."""
    nonce: UploadNonce | None = None
    """Of the link that authorised it, which is used up by it."""


@dataclass(frozen=True, slots=True)
class Change:
    """A committed write."""

    id: int
    key: str
    facts: ImageFacts | None
    """The image as of this write; None after a deletion."""
    created: bool
    """The key had no image before."""
    done: bool
    """Every cache was invalidated."""
    repeated: bool = False
    """It was committed by an earlier call."""


class Catalog:
    """Reads and changes the catalog; each call is one fresh transaction.

    What a write takes out of use goes into the trash in the same transaction (`catalog.trash`).

    Safe to share between threads and processes. Raises SQLAlchemy's errors if the database does not answer.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        retention_seconds: float = GRACE_SECONDS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`retention_seconds`: how long deleted and replaced images stay in the trash, at least 5 minutes."""
        self._transactions = RetryingTransactions(engine)
        self._one = PreparedQuery(engine, ONE_IMAGE)
        self._write = PreparedQuery(engine, WRITE)
        self._statements = WriteStatements(engine)
        self._retention_seconds = max(retention_seconds, GRACE_SECONDS)
        self._clock = clock
        self._monotonic = monotonic

    def find(self, key: str) -> CatalogImage | None:
        """The current image of `key`, if any."""
        row = self._one.first(key=key)
        return None if row is None else _image(row)

    def list_page(
        self,
        *,
        order: Order = "key",
        prefix: str = "",
        limit: int = 100,
        cursor: str | None = None,
        actor: Actor | None = None,
        visibility: Visibility | None = None,
    ) -> CatalogPage:
        """One page, by the keys' bytes or newest change first, of what `actor` may see; of all for None.

        `visibility`: only images that have it.

        Raises:
            InvalidRequest: a bad limit, cursor or prefix, or a prefix with `newest`, which no index supports.
        """
        last = decode_cursor(cursor, order) if cursor else None
        query = (_by_key(prefix, last) if order == "key" else _newest_first(prefix, last)).limit(check_limit(limit) + 1)
        query = query.where(*visible_to(actor), *([images.c.visibility == visibility] if visibility else []))
        rows = self._transactions.read(lambda connection: connection.execute(query).all())
        found = tuple(ImageFacts(*row) for row in rows[:limit])
        more = len(rows) > limit
        return CatalogPage(found, Cursor(found[-1].key, found[-1].updated_at).encode(order) if more else None)

    def neighbours(self, key: str, *, order: Order = "key", prefix: str = "", actor: Actor | None = None) -> Neighbours:
        """The images before and after `key` in a listing of what `actor` may see, or of all for None.

        Raises:
            NotFound: there is no such image.
            InvalidRequest: as `list_page`.
        """

        def work(connection: Connection) -> Neighbours:
            here = _seen(self._find(connection, key), key, actor)
            place = Cursor(key, here.facts.updated_at)
            back = _by_key_backwards(prefix, place) if order == "key" else _oldest_first(place)
            onward = _by_key(prefix, place) if order == "key" else _newest_first(prefix, place)
            rows = [connection.execute(query.where(*visible_to(actor)).limit(1)).first() for query in (back, onward)]
            before, after = (row.key if row is not None else None for row in rows)
            return Neighbours(previous=before, next=after)

        return self._transactions.read(work)

    def have(self, digests: Collection[str], actor: Actor) -> dict[str, str]:
        """Which of these SHA-256 digests images of the actor's own have, each with its first key.

        For an administrator, the images of everyone count.
        """
        query = keys_by_digest(sorted(set(digests)), actor)
        rows = self._transactions.read(lambda connection: connection.execute(query).all())
        return {row.sha256: row.key for row in rows}

    def usage(self) -> Usage:
        """The number of images and their bytes. Reads 16 rows, however many images there are."""
        query = select(func.sum(image_usage.c.images), func.sum(image_usage.c.size_bytes))
        count, size_bytes = self._transactions.read(lambda connection: connection.execute(query).one())
        return Usage(images=int(count or 0), bytes=int(size_bytes or 0))

    def find_put(self, write_id: str, key: str) -> Change | None:
        """The put with this id, if it took effect. Raises Conflict if that was a deletion or of another key."""
        return _written(self._write.first(write_id=write_id), key, put=True)

    def put(self, upload: NewImage, actor: Actor, conditions: Conditions = NO_CONDITIONS) -> Change:
        """Point the key at its new object and record the change. A repeated write gives the first result.

        Restored versions and times apply if they are greater than the key's; otherwise these grow as with any change.

        Raises:
            Forbidden, PreconditionFailed, Conflict (the id was used for another write), LinkUsed: nothing changed.
            Unavailable: the object is too old; nothing changed.
        """
        key = upload.facts.key

        def work(connection: Connection) -> Change:
            if found := self._find_write(connection, upload.write_id, key, put=True):
                return found
            if upload.nonce is not None:
                # If two use it at the same time, one gets an IntegrityError and is retried.
                _check_unused(connection, upload.nonce)
                connection.execute(insert(upload_nonces).values(nonce=upload.nonce.nonce, until=upload.nonce.until))
            version, updated_at = self._lock(connection, key, upload.kept)
            old = self._find(connection, key)
            _check(actor, conditions, old)
            if self._monotonic() - upload.begun_at > MAX_OBJECT_AGE_SECONDS:
                raise Unavailable("This upload took more than an hour and was not stored.")
            facts = replace(upload.facts, version=version, updated_at=updated_at, created_at=updated_at)
            image = _owned(CatalogImage(facts, upload.object_name, actor.user), old, upload)
            facts = image.facts
            self._write_row(connection, image, replaces=key if old else None)
            return self._record(connection, upload.write_id, key, version, facts=facts, old=old)

        return self._transactions.write(work)

    def check_unused(self, nonce: UploadNonce) -> None:
        """Raises LinkUsed if an upload has used the link."""
        self._transactions.read(lambda connection: _check_unused(connection, nonce))

    def settle(self, write_id: str, key: str) -> Change | None:
        """The put with this id, if it took effect. Otherwise None, and it is cancelled: it raises Conflict from now on.

        That holds until the record is deleted (`ChangeLog.forget`), long after any upload has ended. Raises Conflict
        if the id was used for another write.
        """

        def work(connection: Connection) -> Change | None:
            row = connection.execute(select(image_changes).where(image_changes.c.write_id == write_id)).first()
            if row is not None and row.version == _NEVER:
                return None
            if row is not None:
                return self._find_write(connection, write_id, key, put=True)
            # If the put commits at the same time, one of the two gets an IntegrityError and is retried.
            never = _change_row(write_id, key, _NEVER, None, self._clock())
            connection.execute(insert(image_changes).values(never | {"state": DONE}))
            return None

        return self._transactions.write(work)

    def delete(self, key: str, write_id: str, actor: Actor, conditions: Conditions = NO_CONDITIONS) -> Change:
        """Delete the image of `key` and record the change. A repeated write gives the first result.

        Raises:
            NotFound (also if the actor may not see it), Forbidden, PreconditionFailed, Conflict (the id was used for
                another write): nothing changed.
        """

        def work(connection: Connection) -> Change:
            old = self._find(connection, key)
            if found := self._find_write(connection, write_id, key, put=False):
                return found
            # Before locking, so that deleting a key that never existed leaves no row.
            _seen(old, key, actor)
            version, _ = self._lock(connection, key)
            old = self._find(connection, key)
            if old is None and (found := self._find_write(connection, write_id, key, put=False)):
                return found  # repeated at the same time
            old = _seen(old, key, actor)
            _check(actor, conditions, old)
            connection.execute(delete(images).where(images.c.key == key))
            return self._record(connection, write_id, key, version, facts=None, old=old)

        return self._transactions.write(work)

    def move(
        self,
        key: str,
        to: str,
        write_id: str,
        actor: Actor,
        conditions: Conditions = NO_CONDITIONS,
        *,
        visibility: Visibility | None = None,
    ) -> tuple[Change, ...]:
        """Give the image of `key` the key `to`, and `visibility` unless it is None; all else stays.

        Version and time of `to` grow above those of both keys. Gives the changes of both, that of `to` first; they
        share the id. A repeated write gives the first result.

        Raises:
            InvalidRequest: the two keys are one.
            NotFound (also if the actor may not see it), Forbidden, PreconditionFailed.
            Conflict: `to` has an image; or the id was used for another write. In all cases nothing changed.
        """
        if key == to:
            raise InvalidRequest("This is the image's key already: choose another one.")
        return self._alter(key, to, visibility, write_id, actor, conditions)

    def set_visibility(
        self, key: str, visibility: Visibility, write_id: str, actor: Actor, conditions: Conditions = NO_CONDITIONS
    ) -> tuple[Change, ...]:
        """Change who may see the image of `key`. Gives one change; raises as `move`."""
        return self._alter(key, key, visibility, write_id, actor, conditions)

    def _alter(
        self, key: str, to: str, visibility: Visibility | None, write_id: str, actor: Actor, conditions: Conditions
    ) -> tuple[Change, ...]:
        keys = [to] if to == key else [to, key]

        def work(connection: Connection) -> tuple[Change, ...]:
            old = self._find(connection, key)
            if found := self._find_all(connection, write_id, keys):
                return found
            _seen(old, key, actor)
            # In the order of their bytes, so that two writers of the same keys cannot deadlock.
            locked = {one: self._lock(connection, one) for one in sorted(keys, key=str.encode)}
            old = self._find(connection, key)
            if found := self._find_all(connection, write_id, keys):  # repeated at the same time
                return found
            old = _seen(old, key, actor)
            _check(actor, conditions, old)
            if to != key and self._find(connection, to) is not None:
                raise Conflict(f"There is an image {to!r} already: choose another key, or delete it first.")
            version, updated_at = (max(numbers) for numbers in zip(*locked.values(), strict=True))
            self._statements.raise_key.run(connection, its_key=to, version=version, updated_at=updated_at)
            facts = replace(old.facts, key=to, version=version, updated_at=updated_at)
            facts = replace(facts, visibility=visibility or facts.visibility)
            self._write_row(connection, replace(old, facts=facts), replaces=key)
            if not facts.is_examined:
                note_unexamined(connection, to)
            size = facts.size_bytes
            self._count_many(connection, [(key, -1, -size), (to, 1, size)])
            now, changes = self._clock(), list[Change]()
            for one in keys:
                its_facts, its_version = (facts, version) if one == to else (None, locked[one][0])
                row = _change_row(write_id, one, its_version, its_facts, now, created=one != key)
                row_id = self._statements.new_change.run(connection, **row).row_id
                changes.append(Change(row_id, one, its_facts, created=one != key, done=False))
            return tuple(changes)

        return self._transactions.write(work)

    def restore(self, entry_id: int, write_id: str, actor: Actor, conditions: Conditions = NO_CONDITIONS) -> Change:
        """Bring an image back from the trash, as a new version of its key; the present image goes into the trash.

        It keeps its owner and its time of creation. A repeated write gives the first result.

        Raises:
            NotFound: there is no such entry that `actor` may see.
            Conflict: its object is being removed; or the id was used for another write.
            Forbidden, PreconditionFailed: of the present image. In all cases nothing changed.
        """

        def work(connection: Connection) -> Change:
            row = self._statements.write.run(connection, write_id=write_id).row
            if found := _written(row, row[1] if row else "", put=True):
                return found
            key = find_entry(connection, entry_id, actor, self._clock()).facts.key
            version, updated_at = self._lock(connection, key)
            entry = find_entry(connection, entry_id, actor, self._clock(), lock=True)
            take_entry(connection, entry_id)
            old = self._find(connection, key)
            _check(actor, conditions, old)
            facts = replace(entry.facts, version=version, updated_at=updated_at)
            image = CatalogImage(facts, entry.object_name, entry.owner_id)
            self._write_row(connection, image, replaces=key if old else None)
            if not facts.is_examined:
                note_unexamined(connection, key)
            return self._record(connection, write_id, key, version, facts=facts, old=old)

        return self._transactions.write(work)

    def delete_batch(
        self, after: str | None, limit: int, make_id: Callable[[], str]
    ) -> tuple[list[Change], str | None]:
        """Delete up to `limit` images with keys above `after` (None: from the first), in one transaction.

        Gives the changes and the last key seen, None if nothing was left.
        """

        def work(connection: Connection) -> tuple[list[Change], str | None]:
            page = select(images.c.key).order_by(images.c.key).limit(limit)
            keys = connection.execute(page if after is None else page.where(images.c.key > after)).scalars().all()
            if not keys:
                return [], None
            # Locked in key order, so that two concurrent batches cannot deadlock.
            locks = select(image_keys.c.key).where(image_keys.c.key.in_(keys)).order_by(image_keys.c.key)
            connection.execute(locks.with_for_update()).all()
            present = connection.execute(select(*COLUMNS).where(images.c.key.in_(keys)).order_by(images.c.key)).all()
            return self._delete_all(connection, [_image(row) for row in present], make_id), keys[-1]

        return self._transactions.write(work)

    def _delete_all(
        self, connection: Connection, olds: Sequence[CatalogImage], make_id: Callable[[], str]
    ) -> list[Change]:
        """Delete images whose keys are locked, with a fixed number of statements."""
        if not olds:
            return []
        now = self._clock()
        keys = [old.facts.key for old in olds]
        stepped = image_keys.c.updated_at + MIN_STEP_SECONDS
        connection.execute(
            update(image_keys)
            .where(image_keys.c.key.in_(keys))
            .values(version=image_keys.c.version + 1, updated_at=case((stepped > now, stepped), else_=now))
        )
        connection.execute(delete(images).where(images.c.key.in_(keys)))
        self._count_many(connection, [(old.facts.key, -1, -old.facts.size_bytes) for old in olds])
        # An image has its key's version.
        rows = [
            _change_row(make_id(), old.facts.key, old.facts.version + 1, None, now, old_object=old.object_name)
            for old in olds
        ]
        connection.execute(insert(image_changes), rows)
        connection.execute(insert(trash), [self._trash_row(old, now) for old in olds])
        written = [row["write_id"] for row in rows]
        ids = (
            select(image_changes.c.id, image_changes.c.key)
            .where(image_changes.c.write_id.in_(written))
            .order_by(image_changes.c.key)
        )
        return [Change(row.id, row.key, None, created=False, done=False) for row in connection.execute(ids)]

    def _lock(self, connection: Connection, key: str, kept: RestoredFacts | None = None) -> tuple[int, float]:
        """Lock the key until the transaction ends, and raise its version. Gives the new version and time."""
        version, now = (kept.version, kept.updated_at) if kept else (1, self._clock())
        row = self._statements.lock.run(connection, key=key).row
        if row is None:
            # If two transactions insert the row, one gets an IntegrityError and is retried.
            self._statements.new_key.run(connection, key=key, version=version, updated_at=now)
            return version, now
        last_version, last_time = row
        version, updated_at = max(version, last_version + 1), max(now, last_time + MIN_STEP_SECONDS)
        self._statements.raise_key.run(connection, its_key=key, version=version, updated_at=updated_at)
        return version, updated_at

    def _record(
        self,
        connection: Connection,
        write_id: str,
        key: str,
        version: int,
        *,
        facts: ImageFacts | None,
        old: CatalogImage | None,
    ) -> Change:
        """Record the change, count it, and put the old image into the trash."""
        now = self._clock()
        self._count(connection, key, old.facts if old else None, facts)
        if old is not None:
            self._statements.new_trash.run(connection, **self._trash_row(old, now))
        old_object = old.object_name if old else None
        row = _change_row(write_id, key, version, facts, now, created=old is None, old_object=old_object)
        row_id = self._statements.new_change.run(connection, **row).row_id
        return Change(row_id, key, facts, created=old is None, done=False)

    def _trash_row(self, old: CatalogImage, now: float) -> dict[str, Any]:
        return trash_row(old.facts, old.object_name, old.owner_id, now, now + self._retention_seconds)

    def _find(self, connection: Connection, key: str) -> CatalogImage | None:
        row = self._statements.image.run(connection, key=key).row
        return _image(row) if row is not None else None

    def _find_write(self, connection: Connection, write_id: str, key: str, *, put: bool) -> Change | None:
        return _written(self._statements.write.run(connection, write_id=write_id).row, key, put=put)

    def _find_all(self, connection: Connection, write_id: str, keys: Sequence[str]) -> tuple[Change, ...]:
        """The changes with this id, if any. Raises Conflict unless they are of these keys, the first one a put."""
        rows = connection.execute(WRITE, {"write_id": write_id}).all()
        if rows and [row.key for row in rows] != list(keys):
            raise _other_write()
        found = (_written(row, row.key, put=row.key == keys[0]) for row in rows)
        return tuple(change for change in found if change is not None)

    def _write_row(self, connection: Connection, image: CatalogImage, *, replaces: str | None) -> None:
        """Write the row of an image: a new one, or the one of the key that it `replaces`."""
        values = {name: getattr(image.facts, name) for name in ImageFacts.__slots__}
        values |= {"object_name": image.object_name, "owner_id": image.owner_id}
        if replaces is None:
            self._statements.new_image.run(connection, **values)
        else:
            self._statements.replace_image.run(connection, its_key=replaces, **values)

    def _count(self, connection: Connection, key: str, old: ImageFacts | None, new: ImageFacts | None) -> None:
        size_bytes = (new.size_bytes if new else 0) - (old.size_bytes if old else 0)
        self._count_many(connection, [(key, bool(new) - bool(old), size_bytes)])

    def _count_many(self, connection: Connection, deltas: Sequence[tuple[str, int, int]]) -> None:
        """Add to the counters, in partition order, so that writers cannot deadlock."""
        totals: dict[int, tuple[int, int]] = {}
        for key, count, size_bytes in deltas:
            before = totals.get(partition_of(key), (0, 0))
            totals[partition_of(key)] = (before[0] + count, before[1] + size_bytes)
        for partition, (count, size_bytes) in sorted(totals.items()):
            if (count, size_bytes) == (0, 0):
                continue
            add = self._statements.add_usage
            if not add.run(connection, its_partition=partition, more=count, more_bytes=size_bytes).changed:
                connection.execute(insert(image_usage).values(partition=partition, images=count, size_bytes=size_bytes))


def _change_row(
    write_id: str,
    key: str,
    version: int,
    facts: ImageFacts | None,
    now: float,
    *,
    created: bool = False,
    old_object: str | None = None,
) -> dict[str, Any]:
    return {
        "write_id": write_id,
        "key": key,
        "version": version,
        "created": created,
        "answer": json.dumps(facts.to_json()) if facts else None,
        "old_object": old_object,
        "state": PENDING,
        "created_at": now,
        "state_at": now,
    }


def _written(row: Sequence[Any] | None, key: str, *, put: bool) -> Change | None:
    """The change in a row of `statements.WRITE`. Raises Conflict if it is another write."""
    if row is None:
        return None
    row_id, its_key, answer, created, state = row
    if its_key != key or (answer is not None) != put:
        raise _other_write()
    facts = ImageFacts.from_json(json.loads(answer)) if answer else None
    return Change(row_id, key, facts, created=created, done=state != PENDING, repeated=True)


def _check_unused(connection: Connection, nonce: UploadNonce) -> None:
    query = select(upload_nonces.c.nonce).where(upload_nonces.c.nonce == nonce.nonce)
    if connection.execute(query).first() is not None:
        raise LinkUsed("This upload link has been used already: ask for another one.")


def _other_write() -> Conflict:
    return Conflict("This write id was used for another write.")


def _seen(image: CatalogImage | None, key: str, actor: Actor | None) -> CatalogImage:
    """The image, if there is one that `actor` may see; None may see all. Raises NotFound."""
    if image is None or not (actor is None or may_see(actor, image.facts.visibility, image.owner_id)):
        raise NotFound(f"There is no image {key!r}.")
    return image


def _check(actor: Actor, conditions: Conditions, old: CatalogImage | None) -> None:
    if old is not None:
        check_may_change(actor, old.facts, old.owner_id)
    conditions.check(old.facts.etag if old else None)


def _owned(image: CatalogImage, old: CatalogImage | None, upload: NewImage) -> CatalogImage:
    """Set owner, creation time and visibility: the restored ones, else the old image's, else its own."""
    kept = upload.kept
    visibility = upload.visibility or (kept and kept.visibility) or (old or image).facts.visibility
    facts = replace(image.facts, visibility=visibility)
    if kept is not None:
        facts = replace(facts, created_at=kept.created_at, owner=kept.owner)
        return replace(image, facts=facts, owner_id=kept.owner_id)
    if old is None:
        return replace(image, facts=facts)
    # Replacing an image does not change its owner.
    facts = replace(facts, created_at=old.facts.created_at, owner=old.facts.owner)
    return replace(image, facts=facts, owner_id=old.owner_id)


def _by_key(prefix: str, last: Cursor | None) -> Any:
    query = select(*FACTS).order_by(images.c.key)
    start = prefix_bytes(prefix)
    if prefix and (end := end_of_prefix(start)) is not None:
        query = query.where(images.c.key < end)
    # A single lower bound: given two, SQLite seeks to the first and scans on to the second.
    if last is not None and last.key.encode() >= start:
        return query.where(images.c.key > last.key)
    return query.where(images.c.key >= start) if prefix else query


def _by_key_backwards(prefix: str, last: Cursor) -> Any:
    query = select(images.c.key).where(images.c.key < last.key).order_by(images.c.key.desc())
    return query.where(images.c.key >= prefix_bytes(prefix)) if prefix else query


def _newest_first(prefix: str, last: Cursor | None) -> Any:
    if prefix:
        raise InvalidRequest("prefix requires order=key.")
    query = select(*FACTS).order_by(images.c.updated_at.desc(), images.c.key.desc())
    if last is None:
        return query
    # A range with an exception: databases use the index for it, but not for an OR.
    return query.where(
        images.c.updated_at <= last.number,
        not_(and_(images.c.updated_at == last.number, images.c.key >= last.key)),
    )


def _oldest_first(last: Cursor) -> Any:
    query = select(images.c.key).order_by(images.c.updated_at, images.c.key)
    return query.where(
        images.c.updated_at >= last.number,
        not_(and_(images.c.updated_at == last.number, images.c.key <= last.key)),
    )


def _image(row: Sequence[Any]) -> CatalogImage:
    """An image from its `COLUMNS`. By position: by name, a page of 1,000 costs 50 % more."""
    return CatalogImage(ImageFacts(*row[:-2]), *row[-2:])
