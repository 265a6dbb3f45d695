"""How an image is put, replaced, deleted, restored, renamed and shown to others.

1. The body is received, checked, and put into the object store, whole and flushed.
2. One transaction points the key at the object and records the change.
3. Every cache is invalidated (`acknowledger`).
4. The write is acknowledged.

A crash between two steps loses no acknowledged write: before the commit it leaves an unreferenced object, after it a
pending change, which any storage process finishes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from elastic_images.core.errors import BrokenImage, ElasticImagesError, Forbidden, IncompleteBody, NotFound, TooLarge
from elastic_images.core.image_facts import DETAILS, Actor, BatchResult, ImageFacts
from elastic_images.core.restored_facts import RestoredFacts
from elastic_images.core.upload_nonce import UploadNonce
from elastic_images.core.visibility import Visibility
from elastic_images.http.problems import public_error
from elastic_images.imaging.imaging import Imaging, Picture
from elastic_images.imaging.location import without_location
from elastic_images.storage.acknowledger import Acknowledger
from elastic_images.storage.batch import Operation, write_id_of
from elastic_images.storage.catalog.catalog import Catalog, Change, NewImage
from elastic_images.storage.catalog.permissions import check_may_change, check_may_keep_facts
from elastic_images.storage.conditions import NO_CONDITIONS, Conditions
from elastic_images.storage.crash_points import CrashPoint, no_crash
from elastic_images.storage.objects.object_store import ObjectStore, StoredObject
from elastic_images.storage.room import Room
from elastic_images.storage.spool import Readable, Spool, Spooled, in_memory

DELETE_BATCH = 500
_BATCH_TOGETHER = 100
"""After so many operations of a batch, caches are told: what is committed must not wait long for that."""
_INSPECTION_SECONDS = 60.0
"""More than an image may take on a machine that has little else to do."""


def new_write_id() -> str:
    """A fresh id for a write: 32 hexadecimal digits."""
    return uuid.uuid4().hex


class WritePath:
    """The only code that changes images. Safe to share between threads; any number of processes may run it.

    Every method but `settle` raises StoreAway, changing nothing, while the object store is away (`require_store`).
    """

    def __init__(
        self,
        catalog: Catalog,
        store: ObjectStore,
        spool: Spool,
        imaging: Imaging,
        acknowledger: Acknowledger,
        *,
        max_bytes: int,
        strip_location: bool = False,
        default_visibility: Visibility = "public",
        room: Room | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        make_id: Callable[[], str] = new_write_id,
        require_store: Callable[[], None] = lambda: None,
        crash_point: CrashPoint = no_crash,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._spool = spool
        self._imaging = imaging
        self._acknowledger = acknowledger
        self._max_bytes = max_bytes
        self._strip_location = strip_location
        self._default_visibility: Visibility = default_visibility
        self._room = room or Room()
        self._monotonic = monotonic
        self._make_id = make_id
        self._require_store = require_store
        self._crash_point = crash_point

    def put(
        self,
        key: str,
        source: Readable,
        length: int,
        *,
        write_id: str,
        actor: Actor,
        conditions: Conditions = NO_CONDITIONS,
        kept: RestoredFacts | None = None,
        visibility: Visibility | None = None,
        nonce: UploadNonce | None = None,
    ) -> tuple[ImageFacts, bool]:
        """Store the next `length` bytes of `source` under `key`; 64 hexadecimal digits, their SHA-256, must follow.

        `kept` restores an image with the metadata it had elsewhere (`Catalog.put`); only an administrator may do that.
        Without `visibility`, a replaced image keeps its own, and a new one has the default. Gives the metadata, and
        whether the key is new. Returns once no older bytes can be read. `nonce` is used up by it.

        Raises:
            EmptyBody, IncompleteBody, TooLarge, NotAnImage, BrokenImage, Forbidden, PreconditionFailed, OutOfSpace,
                Conflict (the id was used for another write), LinkUsed: nothing changed and nothing is left behind.
            Unavailable: nothing changed; or the write is stored, but a cache was not reached within 10 s, and it will
                be finished later. A retry with the same id gives the outcome.
        """
        if kept is not None:
            check_may_keep_facts(actor)
        self._require_store()
        change = self._catalog.find_put(write_id, key)
        if change is None:
            if nonce is not None:
                self._catalog.check_unused(nonce)
            self._check_early(key, length, actor, conditions)
            with self._room.claim(length), self._spool.receive(source, length) as body:
                upload, stored = self._store_checked(key, body, write_id, actor, restores=kept is not None)
            upload = replace(upload, kept=kept, visibility=visibility, nonce=nonce)
            change = self._commit(upload, stored, actor, conditions)
        if change.facts is None:
            raise AssertionError("a committed put has facts")
        self._finish(change)
        return change.facts, change.created

    def give_up(self, write_id: str) -> None:
        """Nobody waits for this put any more: if its image is being decoded, by any process here, that ends."""
        self._imaging.give_up(write_id)

    def settle(self, key: str, *, write_id: str) -> tuple[ImageFacts, bool]:
        """Finish or cancel a put whose answer was lost, whichever storage app it was sent to.

        If it was committed, this does what `put` would have done. If not, it never will be, so it cannot arrive late
        and replace a later write.

        Raises:
            NotFound: it is cancelled; nothing changed.
            Unavailable: it was committed, but a cache was not reached within 10 s.
            Conflict: the id was used for another write.
        """
        change = self._catalog.settle(write_id, key)
        if change is None or change.facts is None:
            raise NotFound("This write did not happen and is now cancelled.")
        self._finish(change)
        return change.facts, change.created

    def delete(self, key: str, *, write_id: str, actor: Actor, conditions: Conditions = NO_CONDITIONS) -> None:
        """Delete the image of `key`, into the trash. Returns once it cannot be read any more.

        Raises:
            NotFound, Forbidden, PreconditionFailed: nothing changed.
            Unavailable: as for `put`.
        """
        self._require_store()
        self._crash_point("before-commit")
        change = self._catalog.delete(key, write_id, actor, conditions)
        self._crash_point("committed")
        self._finish(change)

    def move(
        self,
        key: str,
        to: str,
        *,
        write_id: str,
        actor: Actor,
        conditions: Conditions = NO_CONDITIONS,
        visibility: Visibility | None = None,
    ) -> ImageFacts:
        """Rename an image (`Catalog.move`). Returns once it cannot be read under its old key any more.

        Raises:
            InvalidRequest, NotFound, Forbidden, PreconditionFailed, Conflict: nothing changed.
            Unavailable: as for `put`.
        """
        return self._alter(lambda: self._catalog.move(key, to, write_id, actor, conditions, visibility=visibility))

    def set_visibility(
        self,
        key: str,
        visibility: Visibility,
        *,
        write_id: str,
        actor: Actor,
        conditions: Conditions = NO_CONDITIONS,
    ) -> ImageFacts:
        """Change who may see an image. Returns once nobody else can. Raises as `move`."""
        return self._alter(lambda: self._catalog.set_visibility(key, visibility, write_id, actor, conditions))

    def _alter(self, commit: Callable[[], Sequence[Change]]) -> ImageFacts:
        self._require_store()
        self._crash_point("before-commit")
        changes = commit()
        self._crash_point("committed")
        self._finish(*changes)
        if changes[0].facts is None:
            raise AssertionError("an altered image has facts")
        return changes[0].facts

    def batch(self, operations: Sequence[Operation], *, batch_id: str, actor: Actor) -> list[BatchResult]:
        """Do the operations in order, each in a transaction of its own; caches are told of many at a time.

        What becomes of each is in its result, in the same order. When the database or the caches do not answer, the
        rest is not tried. A repeated batch takes effect once and gives the first outcomes.

        Raises:
            StoreAway: nothing changed.
        """
        self._require_store()
        results: list[BatchResult] = []
        trouble: ElasticImagesError | None = None
        for start in range(0, len(operations), _BATCH_TOGETHER):
            changes: dict[int, Sequence[Change]] = {}
            for place, operation in enumerate(operations[start : start + _BATCH_TOGETHER], start):
                error = trouble
                if error is None:
                    try:
                        changes[place] = self._commit_one(operation, write_id_of(batch_id, place), actor)
                    except Exception as raised:  # noqa: BLE001 - whatever it is, it is told in the result
                        error = public_error(raised, batch_id)
                        trouble = error if error.is_ours else None
                results.append(_result(operation, error))
            try:
                self._crash_point("committed")
                self._finish(*(change for one in changes.values() for change in one))
            except Exception as raised:  # noqa: BLE001 - it is told in the results
                trouble = public_error(raised, batch_id)
                for place in changes:
                    results[place] = _result(operations[place], trouble)
        return results

    def _commit_one(self, operation: Operation, write_id: str, actor: Actor) -> Sequence[Change]:
        self._require_store()
        key = operation.key
        if operation.to is not None:
            return self._catalog.move(key, operation.to, write_id, actor)
        if operation.visibility is not None:
            return self._catalog.set_visibility(key, operation.visibility, write_id, actor)
        return [self._catalog.delete(key, write_id, actor)]

    def restore(
        self, entry_id: int, *, write_id: str, actor: Actor, conditions: Conditions = NO_CONDITIONS
    ) -> tuple[ImageFacts, bool]:
        """Bring an image back from the trash (`Catalog.restore`). Gives the metadata, and whether the key was empty.

        Raises:
            NotFound, Conflict, Forbidden, PreconditionFailed: nothing changed.
            Unavailable: as for `put`.
        """
        self._require_store()
        self._crash_point("before-commit")
        change = self._catalog.restore(entry_id, write_id, actor, conditions)
        self._crash_point("committed")
        if change.facts is None:
            raise AssertionError("a restored image has facts")
        self._finish(change)
        return change.facts, change.created

    def delete_all(self, actor: Actor, *, batch: int = DELETE_BATCH) -> Iterator[int]:
        """Delete every image, in batches; yields the number deleted so far.

        Images uploaded meanwhile may or may not be deleted. Stopping between two batches is safe.

        Raises:
            Forbidden: the actor is not an administrator.
            Unavailable: as for `put`; earlier batches are deleted.
        """
        if not actor.admin:
            raise Forbidden("Only an administrator may delete all images.")
        self._require_store()
        return self._delete_batches(batch)

    def _delete_batches(self, batch: int) -> Iterator[int]:
        deleted, after = 0, None
        while True:
            self._require_store()
            changes, after = self._catalog.delete_batch(after, batch, self._make_id)
            if after is None:
                return
            if changes:
                self._crash_point("committed")
                self._acknowledger.acknowledge([change.key for change in changes], [change.id for change in changes])
            deleted += len(changes)
            yield deleted

    def _check_early(self, key: str, length: int, actor: Actor, conditions: Conditions) -> None:
        """Refuse a write early, before its bytes are received. The transaction checks again."""
        if length > self._max_bytes:
            raise TooLarge(f"The upload has {length:,} bytes; the limit is {self._max_bytes:,}.")
        present = self._catalog.find(key)
        if present is not None:
            check_may_change(actor, present.facts, present.owner_id)
        conditions.check(present.facts.etag if present else None)

    def _inspect(self, body: Spooled, write_id: str, actor: Actor) -> Picture:
        deadline = time.monotonic() + _INSPECTION_SECONDS
        return self._imaging.inspect(body.file, deadline=deadline, name=write_id, client=actor.name)

    def _store_checked(
        self, key: str, body: Spooled, write_id: str, actor: Actor, *, restores: bool
    ) -> tuple[NewImage, StoredObject]:
        """Inspect the image and put it into the object store."""
        self._crash_point("received")
        picture = self._inspect(body, write_id, actor)
        if self._strip_location and picture.has_location and not restores:
            body = in_memory(without_location(body.data[:], picture.location_patches))
            picture = replace(self._inspect(body, write_id, actor), location_removed=True)
            if picture.has_location:
                raise BrokenImage("Where this picture was taken cannot be removed from the file: remove it first.")
        self._crash_point("checked")
        begun_at = self._monotonic()
        stored = self._store.put(body.chunks())
        self._crash_point("stored")
        facts = _facts(key, picture, body, actor, self._default_visibility)
        return NewImage(write_id, facts, stored.name, begun_at), stored

    def _commit(self, upload: NewImage, stored: StoredObject, actor: Actor, conditions: Conditions) -> Change:
        try:
            if stored.sha256 != upload.facts.sha256:
                raise IncompleteBody("The bytes changed on the way to the object store.")
            self._crash_point("before-commit")
            change = self._catalog.put(upload, actor, conditions)
            self._crash_point("committed")
        except ElasticImagesError:
            # Our own errors mean that nothing was committed. After any other error nobody knows, so the object stays:
            # either its row was committed, or `fsck` will report it.
            self._store.delete(stored.name)
            raise
        if change.repeated:
            self._store.delete(stored.name)
        return change

    def _finish(self, *changes: Change) -> None:
        if left := [change for change in changes if not change.done]:
            self._acknowledger.acknowledge([change.key for change in left], [change.id for change in left])


def _result(operation: Operation, error: ElasticImagesError | None) -> BatchResult:
    if error is not None:
        return {"key": operation.key, "status": error.status, "detail": str(error)}
    deletes = operation.to is None and operation.visibility is None
    return {"key": operation.key, "status": 204 if deletes else 200}


def _facts(key: str, picture: Picture, body: Spooled, actor: Actor, visibility: Visibility) -> ImageFacts:
    return ImageFacts(
        key=key,
        version=0,
        sha256=body.sha256,
        size_bytes=body.size_bytes,
        content_type=picture.content_type,
        format=picture.format,
        width=picture.width,
        height=picture.height,
        frames=picture.frames,
        owner=actor.name if actor.user is not None else None,
        created_at=0.0,
        updated_at=0.0,
        visibility=visibility,
        **{name: getattr(picture, name) for name in DETAILS},
    )
