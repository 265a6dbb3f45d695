"""Deletes what is no longer needed: objects that left the trash, records of old changes, remains of crashed uploads."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

from elastic_images.core.errors import ElasticImagesError
from elastic_images.storage.catalog.change_log import ChangeLog
from elastic_images.storage.catalog.trash import Claimed, Trash
from elastic_images.storage.crash_points import CrashPoint, no_crash
from elastic_images.storage.objects.object_store import ObjectStore

_log = logging.getLogger(__name__)

REMEMBER_SECONDS = 86_400.0
"""How long a repeated write is recognised."""
NONCE_SECONDS = 2 * 86_400.0
"""How long after its end a used upload link is known: longer than an upload that began before can take."""
PARTIAL_SECONDS = 86_400.0
_BATCH = 500


class ObjectCollector:
    """Each `collect` is one round; several processes may run rounds at once.

    An entry of the trash is claimed, its object removed, and then its row. A crash between two of these steps leaves a
    claim, which is taken over later.
    """

    def __init__(
        self,
        changes: ChangeLog,
        trash: Trash,
        store: ObjectStore,
        *,
        clock: Callable[[], float] = time.time,
        crash_point: CrashPoint = no_crash,
    ) -> None:
        self._changes = changes
        self._trash = trash
        self._store = store
        self._clock = clock
        self._crash_point = crash_point
        self._holder = uuid.uuid4().hex
        self._backlog: tuple[int, float | None] = (0, None)

    def collect(self) -> None:
        """Delete everything that is due. An object that cannot be removed is tried again later, and holds up no other.

        Raises:
            Unavailable: the object store as a whole does not work.
        """
        try:
            while claimed := self._trash.claim(self._holder, _BATCH):
                self._crash_point("claimed")
                self._trash.forget(self._remove(claimed))
                self._crash_point("collected")
        finally:
            self._backlog = self._trash.backlog()
        self._changes.forget_nonces(NONCE_SECONDS)
        while self._changes.forget(REMEMBER_SECONDS, _BATCH) == _BATCH:
            pass
        for partial in self._store.partials():
            if partial.created_at < self._clock() - PARTIAL_SECONDS:
                self._store.delete_partial(partial.name)
                _log.info("removed an incomplete object: %d bytes, more than a day old", partial.size_bytes)

    def statistics(self) -> Mapping[str, float]:
        """Gauges, as of the last round: see `metrics.definitions`."""
        count, oldest = self._backlog
        age = max(0.0, self._clock() - oldest) if oldest is not None else 0.0
        return {"collector_backlog": count, "collector_oldest": age}

    def _remove(self, claimed: Sequence[Claimed]) -> list[Claimed]:
        """Remove the objects; gives those that are gone. The others get another attempt."""
        try:
            self._store.delete_many([one.object_name for one in claimed])
        except ElasticImagesError:
            gone = [one for one in claimed if self._remove_one(one)]
        else:
            gone = list(claimed)
        self._crash_point("unlinked")
        return gone

    def _remove_one(self, one: Claimed) -> bool:
        try:
            self._store.delete(one.object_name)
        except ElasticImagesError as error:
            self._store.check()  # if nothing works, this is not the object's fault: the claims expire
            self._trash.failed(one)
            if not one.attempts:
                _log.warning("object %s cannot be removed, will be tried again: %s", one.object_name, error)
            return False
        return True
