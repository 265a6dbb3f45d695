"""Which object store belongs to the database: settled at the first start, changed only by `store adopt`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Engine

from elastic_images.core.errors import StoreAway
from elastic_images.database.lock import database_lock
from elastic_images.storage.catalog.store_ids import (
    count_images,
    known_id,
    new_store_id,
    record_id,
    recorded_id,
    sample,
)
from elastic_images.storage.objects.from_url import open_object_store
from elastic_images.storage.objects.guarded import MEND, GuardedStore, why_away
from elastic_images.storage.objects.object_store import ObjectStore

_log = logging.getLogger(__name__)
State = Literal["present", "new", "empty", "other", "unmarked"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the object store at a place stands to the system.

    `present`: it is the system's own. `new`: the next start makes it so. `empty`, `other`, `unmarked`: it is not.
    """

    object_store: str
    state: State
    store_id: str | None
    """The id that the store carries."""
    expected_id: str | None
    """The id that the database expects."""
    images: int
    sampled: int
    """How many of the catalog's objects were looked for, at most 100."""
    found: int
    """How many of them are in the store, with the right size."""
    detail: str


def standing(engine: Engine, store: ObjectStore, place: str) -> Standing:
    """How the store stands to the system. Changes nothing. Raises Unavailable if it cannot be read."""
    expected, seen = known_id(engine), store.look()
    wanted = sample(engine)
    found = 0 if seen.empty else sum(_has(store, name, size) for name, size in wanted.items())
    state: State = "empty" if seen.empty else "other" if seen.store_id is not None else "unmarked"
    detail = why_away(place, seen)
    if expected is not None:
        if expected == seen.store_id:
            state, detail = "present", f"The object store {place} is this system's."
    elif 2 * found > len(wanted):
        # Not all: an image that was lost long ago must not keep a system from starting.
        state = "new"
        detail = f"The object store {place} has {found} of {len(wanted)} objects of this system's images."
    elif wanted:
        detail = f"The object store {place} has {found} of {len(wanted)} objects that this system's images need. {MEND}"
    elif seen.empty or seen.store_id is None:
        state, detail = "new", f"The object store {place} can be used: this system has no images yet."
    return Standing(place, state, seen.store_id, expected, count_images(engine), len(wanted), found, detail)


def settle(engine: Engine, store: ObjectStore, place: str) -> None:
    """Before a start: give a new system, or one from before store ids, its store. Makes it if it is absent.

    Raises:
        StoreAway: the store at this place is not this system's.
        Unavailable: it cannot be read or written.
    """
    with database_lock(engine):
        expected = recorded_id(engine)
        if expected is not None:
            seen = store.look()
            if seen.store_id != expected:
                raise StoreAway(why_away(place, seen))
            return
        found = standing(engine, store, place)
        if found.state != "new":
            raise StoreAway(found.detail)
        _make_own(engine, store)
        _log.info("the object store %s is this system's from now on", place)


def adopt(engine: Engine, store: ObjectStore) -> str:
    """Make whatever is at the store's place this system's store, under a new id, which is given back.

    The new id keeps the former store apart, should it come back. Running processes notice within seconds.
    """
    with database_lock(engine):
        return _make_own(engine, store)


def system_store(engine: Engine, url: str) -> ObjectStore:
    """The object store of a system that may be running, guarded unless it is older than store ids."""
    store = open_object_store(url)
    return store if known_id(engine) is None else GuardedStore(store, url, lambda: recorded_id(engine))


def _make_own(engine: Engine, store: ObjectStore) -> str:
    store_id = new_store_id()
    store.mark(store_id)
    record_id(engine, store_id)
    return store_id


def _has(store: ObjectStore, name: str, size_bytes: int) -> bool:
    info = store.stat(name)
    return info is not None and info.size_bytes == size_bytes
