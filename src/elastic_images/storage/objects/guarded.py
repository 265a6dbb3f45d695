"""An object store that is used only while it is the system's own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from elastic_images.core.errors import ElasticImagesError, StoreAway, Unavailable
from elastic_images.storage.objects.object_store import (
    ObjectInfo,
    ObjectMissing,
    ObjectStore,
    OpenObject,
    StoredObject,
    StoreSeen,
)

_log = logging.getLogger(__name__)
FRESH_SECONDS = 1.0
"""How old the last look at a bucket, or at a store that is away, may be before a write begins."""
MEND = (
    "Mount it, correct ELASTIC_IMAGES_OBJECT_STORE, or, if this is the store to use from now on, run "
    "`elastic-images store adopt --yes`."
)


class GuardedStore:
    """An `ObjectStore` around another one. Every method raises StoreAway while the store is not the system's own.

    What is put counts only after a look at the store's id that was begun afterwards. An object is called missing only
    between two such looks. Safe to share between threads.

    Args:
        place: the store's URL, for messages.
        wanted_id: reads the id of the system's store; called again when another one is found.
    """

    def __init__(
        self,
        store: ObjectStore,
        place: str,
        wanted_id: Callable[[], str | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._place = place
        self._wanted_id = wanted_id
        self._clock = clock
        in_bucket = place.startswith("s3:")
        self._fresh_seconds = FRESH_SECONDS if in_bucket else 0.0
        self.watch_seconds = 10.0 if in_bucket else 2.0
        """How often to `watch`: each look at a bucket costs a request, and reads notice there by themselves."""
        self._id: str | None = None
        self._looking = threading.Lock()
        self._looked_at = float("-inf")
        self._seen = False
        self._away: str | None = None

    def confirm(self) -> None:
        """Look at the store now.

        Raises:
            StoreAway: it is absent, empty, or another one.
            Unavailable: it cannot be read, so nobody knows.
        """
        if self._id is None or not self._store.pin(self._id):
            self._id = self._wanted_id()
            if self._id is None or not self._store.pin(self._id):
                self._note(why_away("", self._store.look()))
                raise StoreAway(self._away or "")
        self._note(None)

    def require(self) -> None:
        """Raise StoreAway if the store is away. Looks only if the last look is old and no other thread is looking."""
        fresh_seconds = FRESH_SECONDS if self._away is not None else self._fresh_seconds
        if self._clock() - self._looked_at >= fresh_seconds and self._looking.acquire(blocking=not self._seen):
            try:
                with suppress(StoreAway):
                    self.confirm()
            except Unavailable:
                self._looked_at = self._clock()
                if not self._seen:
                    raise
            finally:
                self._looking.release()
        if self._away is not None:
            raise StoreAway(self._away)

    def watch(self) -> None:
        """Look at the store from time to time, so that reads notice a change. Never raises ElasticImagesError."""
        with suppress(ElasticImagesError):
            self.require()

    def put(self, chunks: Iterable[bytes], name: str | None = None) -> StoredObject:
        """See `ObjectStore`."""
        self.require()
        try:
            stored = self._store.put(chunks, name)
        except Unavailable:
            self.require()
            raise
        try:
            self.confirm()
        except StoreAway:
            with suppress(ElasticImagesError):
                self._store.delete(stored.name)
            raise
        return stored

    def replace(self, name: str, chunks: Iterable[bytes]) -> StoredObject:
        """See `ObjectStore`."""
        self.require()
        stored = self._store.replace(name, chunks)
        self.confirm()
        return stored

    def quarantine(self, name: str) -> None:
        """See `ObjectStore`."""
        self.confirm()
        self._store.quarantine(name)

    def open(self, name: str) -> OpenObject:
        """See `ObjectStore`."""
        self._refuse()
        try:
            return self._store.open(name)
        except ObjectMissing:
            self.confirm()
        except Unavailable:
            self.require()
            raise
        try:
            return self._store.open(name)
        except ObjectMissing:
            self.confirm()
            raise

    def stat(self, name: str) -> ObjectInfo | None:
        """See `ObjectStore`."""
        self._refuse()
        found = self._store.stat(name)
        if found is None:
            self.confirm()
            found = self._store.stat(name)
        return found

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        self.require()
        self._store.delete(name)

    def delete_many(self, names: Sequence[str]) -> None:
        """See `ObjectStore`."""
        self.require()
        self._store.delete_many(names)

    def list(self, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """See `ObjectStore`."""
        self.require()
        found = self._store.list(after, limit)
        self.confirm()
        return found

    def partials(self) -> Iterator[ObjectInfo]:
        """See `ObjectStore`."""
        self.require()
        return self._store.partials()

    def delete_partial(self, name: str) -> None:
        """See `ObjectStore`."""
        self.require()
        self._store.delete_partial(name)

    def check(self) -> None:
        """See `ObjectStore`."""
        self.require()
        self._store.check()

    def look(self) -> StoreSeen:
        """See `ObjectStore`."""
        return self._store.look()

    def mark(self, store_id: str) -> None:
        """See `ObjectStore`."""
        self._store.mark(store_id)

    def pin(self, store_id: str) -> bool:
        """See `ObjectStore`."""
        return self._store.pin(store_id)

    def _refuse(self) -> None:
        """Raise StoreAway while the store is known to be away. Otherwise as quick as reads must be."""
        if self._away is not None or not self._seen:
            self.require()

    def _note(self, away: str | None) -> None:
        if away != self._away:
            if away is None:
                _log.info("the object store %s is back", self._place)
            else:
                _log.error("the object store is away: %s: %s", self._place, away)
        self._away, self._looked_at, self._seen = away, self._clock(), True


def why_away(place: str, seen: StoreSeen) -> str:
    """What is wrong with the store at `place`, which does not have the system's id, and what to do.

    Strangers may read it if the place is left empty.
    """
    if seen.store_id is not None:
        what = "is not this system's: it carries the id of another one"
    elif seen.empty:
        what = "is absent or empty, although this system has used it"
    else:
        what = "has no store id, although this system's store has one"
    return f"The object store {f'{place} ' if place else ''}{what}. {MEND}"
