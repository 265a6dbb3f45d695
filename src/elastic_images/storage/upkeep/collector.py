"""Deletes what is no longer needed: replaced objects, records of old changes, and remains of crashed uploads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from elastic_images.storage.catalog.change_log import ChangeLog
from elastic_images.storage.objects.object_store import ObjectStore

_log = logging.getLogger(__name__)

GRACE_SECONDS = 300.0
"""How long a reader that saw the old row may take to open the old object."""
REMEMBER_SECONDS = 86_400.0
"""How long a repeated write is recognised."""
PARTIAL_SECONDS = 86_400.0
_BATCH = 500


class ObjectCollector:
    """Each `collect` is one round; several processes may run rounds at once."""

    def __init__(
        self,
        changes: ChangeLog,
        store: ObjectStore,
        *,
        clock: Callable[[], float] = time.time,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._changes = changes
        self._store = store
        self._clock = clock
        self._grace_seconds = grace_seconds

    def collect(self) -> None:
        """Delete everything that is due."""
        while old := self._changes.old_objects(self._grace_seconds, _BATCH):
            self._store.delete_many([one.name for one in old if one.name is not None])
            self._changes.mark_clean([one.change_id for one in old])
        while self._changes.forget(REMEMBER_SECONDS, _BATCH) == _BATCH:
            pass
        for partial in self._store.partials():
            if partial.created_at < self._clock() - PARTIAL_SECONDS:
                self._store.delete_partial(partial.name)
                _log.info("removed an incomplete object: %d bytes, more than a day old", partial.size_bytes)
