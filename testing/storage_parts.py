"""Parts for the tests of the storage room: small images, a settable clock, caches that obey or do not."""

from __future__ import annotations

import hashlib
import io
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import Engine

from elastic_images.core.errors import Unavailable
from elastic_images.core.image_facts import Actor, ImageFacts
from elastic_images.imaging.limits import Limits
from elastic_images.metrics.counters import Counters
from elastic_images.pool.invalidation import Invalidator
from elastic_images.storage.acknowledger import Acknowledger
from elastic_images.storage.bad_objects import BadObjects
from elastic_images.storage.catalog import tables
from elastic_images.storage.catalog.catalog import Catalog, NewImage
from elastic_images.storage.catalog.change_log import ChangeLog
from elastic_images.storage.catalog.trash import Trash
from elastic_images.storage.crash_points import CrashPoint, no_crash
from elastic_images.storage.image_reader import ImageReader
from elastic_images.storage.objects.local import LocalObjectStore
from elastic_images.storage.objects.object_store import CHUNK_BYTES, ObjectStore, new_name
from elastic_images.storage.spool import Spool
from elastic_images.storage.upkeep.collector import ObjectCollector
from elastic_images.storage.write_path import WritePath
from testing.clock import Clock
from testing.imaging_here import ImagingHere

CATALOG_TABLES = [
    tables.images,
    tables.image_keys,
    tables.image_changes,
    tables.image_usage,
    tables.trash,
    tables.bad_objects,
    tables.scrub_progress,
    tables.upkeep_leases,
    tables.unexamined,
    tables.upload_nonces,
]
ANN = Actor(1, "ann")
BOB = Actor(2, "bob")
ADMIN = Actor(3, "root", admin=True)
NOBODY = Actor(None, "anonymous")


@cache
def picture(kind: str = "PNG", seed: int = 0, size: tuple[int, int] = (24, 17), **options: Any) -> bytes:
    """A small encoded image; another seed gives other bytes."""
    image = Image.new("RGB", size, (seed % 256, seed // 256 % 256, 90))
    image.paste((200, 30, seed % 251), (3, 3, 9, 9))
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@cache
def large_picture() -> bytes:
    """An image that is not held in memory while it comes in."""
    stream = io.BytesIO()
    Image.frombytes("L", (700, 500), random.Random(1).randbytes(350_000)).save(stream, "PNG")
    assert len(stream.getvalue()) > CHUNK_BYTES
    return stream.getvalue()


def write_id() -> str:
    return uuid.uuid4().hex


def with_digest(body: bytes) -> io.BytesIO:
    """A body as storage is sent it."""
    return io.BytesIO(body + hashlib.sha256(body).hexdigest().encode())


def facts_of(key: str, seed: int = 0, size_bytes: int = 100, actor: Actor = ANN) -> ImageFacts:
    return ImageFacts(
        key=key,
        version=0,
        sha256=hashlib.sha256(f"{key}{seed}".encode()).hexdigest(),
        size_bytes=size_bytes,
        content_type="image/png",
        format="PNG",
        width=3,
        height=4,
        frames=1,
        owner=actor.name if actor.user is not None else None,
        created_at=0.0,
        updated_at=0.0,
    )


def upload_of(
    key: str,
    seed: int = 0,
    *,
    size_bytes: int = 100,
    actor: Actor = ANN,
    begun_at: float = 0.0,
) -> NewImage:
    """What the catalog gets for an image whose bytes do not matter."""
    return NewImage(write_id(), facts_of(key, seed, size_bytes, actor), new_name(), begun_at)


@dataclass
class Caches(Invalidator):
    """Stands in for all caches: records its calls, or is unreachable."""

    told: list[tuple[str, ...]] = field(default_factory=list)
    reachable: bool = True
    on_invalidate: Callable[[], None] = lambda: None

    def invalidate_everywhere(self, keys: Sequence[str], deadline: float) -> None:
        assert deadline > 0
        self.on_invalidate()
        if not self.reachable:
            raise Unavailable("A cache node does not answer.")
        self.told.append(tuple(keys))


class Parts:
    """A write path and all it works with, on a database that has its tables and a folder, or another store."""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        crash_point: CrashPoint = no_crash,
        max_bytes: int = 1_000_000,
        store: ObjectStore | None = None,
    ) -> None:
        self.clock = Clock()
        self.monotonic = Clock(1000.0)
        self.caches = Caches()
        self.engine = engine
        self.folder = folder
        self.catalog = Catalog(engine, clock=self.clock, monotonic=self.monotonic)
        self.changes = ChangeLog(engine, clock=self.clock)
        self.trash = Trash(engine, clock=self.clock, monotonic=self.monotonic)
        self.store = store or LocalObjectStore(folder / "objects", crash_point=crash_point)
        self.acknowledger = Acknowledger(
            self.changes, self.caches, clock=self.clock, monotonic=self.monotonic, crash_point=crash_point
        )
        self.collector = ObjectCollector(
            self.changes, self.trash, self.store, clock=self.clock, crash_point=crash_point
        )
        self.imaging = ImagingHere(Limits(max_image_pixels=1_000_000))
        self.bad_objects = BadObjects(engine, clock=self.clock, monotonic=self.monotonic)
        self.store_away: str | None = None
        self.reader = ImageReader(self.catalog, self.store, Counters(), self.bad_objects, self._verify_store)
        self.writes = WritePath(
            self.catalog,
            self.store,
            Spool(folder / "spool"),
            self.imaging,
            self.acknowledger,
            max_bytes=max_bytes,
            monotonic=self.monotonic,
            crash_point=crash_point,
        )

    def _verify_store(self) -> None:
        if self.store_away is not None:
            raise Unavailable(self.store_away)

    def put(self, key: str, body: bytes, actor: Actor = ANN, **options: Any) -> tuple[ImageFacts, bool]:
        options.setdefault("write_id", write_id())
        return self.writes.put(key, with_digest(body), len(body), actor=actor, **options)

    def delete(self, key: str, actor: Actor = ANN, **options: Any) -> None:
        options.setdefault("write_id", write_id())
        self.writes.delete(key, actor=actor, **options)

    def restore(self, entry_id: int, actor: Actor = ANN, **options: Any) -> tuple[ImageFacts, bool]:
        options.setdefault("write_id", write_id())
        return self.writes.restore(entry_id, actor=actor, **options)

    def bytes_of(self, key: str) -> bytes:
        return self.reader.read(key)[1]

    def path_of(self, key: str) -> Path:
        """The file of an image's object."""
        found = self.catalog.find(key)
        assert found is not None
        return self.folder / "objects" / found.object_name[:2] / found.object_name

    def objects(self) -> list[str]:
        """The names of all objects, and of what is half put."""
        return [info.name for info in self.store.list()] + [info.name for info in self.store.partials()]
