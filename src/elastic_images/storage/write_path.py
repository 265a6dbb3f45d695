"""How an image is put, replaced and deleted: design section 5, step by step.

1. The body is received, checked and put into the object store, whole and flushed.
2. One transaction points the key at it and records the change.
3. and 4. Every cache is told (`acknowledge`).
Then the answer goes out. A crash between any two of these loses nothing that was answered: what is stored but not
committed is an object that nothing refers to, what is committed but not told is a pending change.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

from elastic_images.core.errors import ElasticImagesError, Forbidden, IncompleteBody, NotFound, TooLarge
from elastic_images.core.image_facts import Actor, ImageFacts
from elastic_images.core.restored_facts import RestoredFacts
from elastic_images.imaging.inspection import ImageInspector, Picture
from elastic_images.storage.acknowledger import Acknowledger
from elastic_images.storage.catalog.catalog import Catalog, Change, NewImage
from elastic_images.storage.catalog.permissions import check_may_change, check_may_keep_facts
from elastic_images.storage.conditions import NO_CONDITIONS, Conditions
from elastic_images.storage.crash_points import CrashPoint, no_crash
from elastic_images.storage.objects.object_store import ObjectStore, StoredObject
from elastic_images.storage.spool import Readable, Spool, Spooled

DELETE_BATCH = 500


def new_write_id() -> str:
    """A fresh id for a write: 32 hexadecimal digits."""
    return uuid.uuid4().hex


class WritePath:
    """The only way that images change. Safe to share between threads; any number of processes may have one."""

    def __init__(
        self,
        catalog: Catalog,
        store: ObjectStore,
        spool: Spool,
        inspector: ImageInspector,
        acknowledger: Acknowledger,
        *,
        max_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
        make_id: Callable[[], str] = new_write_id,
        crash_point: CrashPoint = no_crash,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._spool = spool
        self._inspector = inspector
        self._acknowledger = acknowledger
        self._max_bytes = max_bytes
        self._monotonic = monotonic
        self._make_id = make_id
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
    ) -> tuple[ImageFacts, bool]:
        """Keep the next `length` bytes of `source` under `key`; 64 digits of SHA-256 follow them there.

        `kept` is what the image brings along from elsewhere (`Catalog.put`); an administrator may say so, nobody else.
        Gives the metadata, and whether there was no image before. Returns when no older bytes can be read any more.

        Raises:
            EmptyBody, IncompleteBody, TooLarge, NotAnImage, BrokenImage, Forbidden, PreconditionFailed, OutOfSpace,
                Conflict (the id was used for another write): nothing was changed and nothing is left behind.
            Unavailable: as these; or the write is stored but not every cache was reached within 10 s, and it will be
                finished. A repetition with the same id tells.
        """
        if kept is not None:
            check_may_keep_facts(actor)
        change = self._catalog.find_put(write_id, key)
        if change is None:
            self._check_early(key, length, actor, conditions)
            with self._spool.receive(source, length) as body:
                upload, stored = self._store_checked(key, body, write_id, actor)
            change = self._commit(replace(upload, kept=kept), stored, actor, conditions)
        if change.facts is None:
            raise AssertionError("the catalog gives a put the facts of its image")
        self._finish(change)
        return change.facts, change.created

    def settle(self, key: str, *, write_id: str) -> tuple[ImageFacts, bool]:
        """What became of a put that its caller lost sight of, on whatever storage app it is: finish it, or end it.

        Where it was committed this is as `put`. Else it never will be, so that it cannot come late and replace what
        is written from now on.

        Raises:
            NotFound: it is ended; nothing was changed.
            Unavailable: it was committed, and not every cache was reached within 10 s.
            Conflict: the id was used for another write.
        """
        change = self._catalog.settle(write_id, key)
        if change is None or change.facts is None:
            raise NotFound("There was no such write, and there will be none.")
        self._finish(change)
        return change.facts, change.created

    def delete(self, key: str, *, write_id: str, actor: Actor, conditions: Conditions = NO_CONDITIONS) -> None:
        """Remove the image of `key`. Returns when it cannot be read any more.

        Raises:
            NotFound, Forbidden, PreconditionFailed: nothing was changed.
            Unavailable: as for `put`.
        """
        self._crash_point("before-commit")
        change = self._catalog.delete(key, write_id, actor, conditions)
        self._crash_point("committed")
        self._finish(change)

    def delete_all(self, actor: Actor, *, batch: int = DELETE_BATCH) -> Iterator[int]:
        """Remove every image there is when its turn comes, by batches; yields how many are gone so far.

        What is uploaded meanwhile is deleted or not. Stopping between two batches is safe.

        Raises:
            Forbidden: the actor is no administrator.
            Unavailable: as for `put`; the batches before are gone.
        """
        if not actor.admin:
            raise Forbidden("Only an administrator may delete all images.")
        return self._delete_batches(batch)

    def _delete_batches(self, batch: int) -> Iterator[int]:
        deleted, after = 0, None
        while True:
            changes, after = self._catalog.delete_batch(after, batch, self._make_id)
            if after is None:
                return
            if changes:
                self._crash_point("committed")
                self._acknowledger.acknowledge([change.key for change in changes], [change.id for change in changes])
            deleted += len(changes)
            yield deleted

    def _check_early(self, key: str, length: int, actor: Actor, conditions: Conditions) -> None:
        """Refuse what will be refused anyway before its bytes are received. The transaction checks again."""
        if length > self._max_bytes:
            raise TooLarge(f"The upload has {length:,} bytes; at most {self._max_bytes:,} are stored.")
        present = self._catalog.find(key)
        if present is not None:
            check_may_change(actor, present.owner_id, present.facts.owner)
        conditions.check(present.facts.etag if present else None)

    def _store_checked(self, key: str, body: Spooled, write_id: str, actor: Actor) -> tuple[NewImage, StoredObject]:
        """Look at what was received, and put it into the object store."""
        self._crash_point("received")
        picture = self._inspector.inspect(body.data)
        self._crash_point("checked")
        begun_at = self._monotonic()
        stored = self._store.put(body.chunks())
        self._crash_point("stored")
        return NewImage(write_id, _facts(key, picture, body, actor), stored.name, begun_at), stored

    def _commit(self, upload: NewImage, stored: StoredObject, actor: Actor, conditions: Conditions) -> Change:
        try:
            if stored.sha256 != upload.facts.sha256:
                raise IncompleteBody("The bytes changed on their way to the object store.")
            self._crash_point("before-commit")
            change = self._catalog.put(upload, actor, conditions)
            self._crash_point("committed")
        except ElasticImagesError:
            # Ours say that nothing was committed. After any other error that is not known, and the object stays:
            # either the row refers to it, or it is garbage that `fsck` finds.
            self._store.delete(stored.name)
            raise
        if change.repeated:
            self._store.delete(stored.name)
        return change

    def _finish(self, change: Change) -> None:
        if not change.done:
            self._acknowledger.acknowledge([change.key], [change.id])


def _facts(key: str, picture: Picture, body: Spooled, actor: Actor) -> ImageFacts:
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
    )
