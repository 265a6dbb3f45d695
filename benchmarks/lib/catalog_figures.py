"""How long a catalog takes to answer: every kind of question, and the rest of the work while all is deleted."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

from sqlalchemy import Engine
from testing.big_catalog import BEGAN_AT, key

from elastic_images.core.image_facts import Actor, ImageFacts
from elastic_images.storage.catalog.catalog import Catalog, NewImage
from elastic_images.storage.catalog.listing import MAX_LIMIT, Cursor
from elastic_images.storage.objects.object_store import new_name
from elastic_images.storage.write_path import DELETE_BATCH, new_write_id

_LONG_AHEAD = 1e12
_PREFIXES = ("album-3/", "album-3/day-500/", "album-3/day-5", "album-7/day-999/photograph-", "a")


@dataclass(frozen=True)
class Figure:
    """How long one kind of question took. `listing`: it is a page of a listing."""

    what: str
    median_ms: float
    p95_ms: float
    most_ms: float
    asked: int
    listing: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def measure(engine: Engine, rows: int, times: int) -> list[Figure]:
    """Each kind of question, asked `times` times of random images."""
    catalog, chance = Catalog(engine), random.Random(1)

    def some() -> int:
        return chance.randrange(rows)

    def in_album_3() -> int:
        return some() // 10 * 10 + 3

    def behind(number: int, order: Any) -> str:
        return Cursor(key(number), BEGAN_AT + number // 3).encode(order)

    pages: dict[str, Callable[[], object]] = {
        "first page by key": catalog.list_page,
        "any page by key": lambda: catalog.list_page(cursor=behind(some(), "key")),
        "first page of a prefix": lambda: catalog.list_page(prefix=chance.choice(_PREFIXES)),
        "any page of a prefix": lambda: catalog.list_page(
            prefix="album-3/", cursor=behind(some() // 10 * 10 + 3, "key")
        ),
        "a prefix that nothing has": lambda: catalog.list_page(prefix=f"album-3/none-{some()}"),
        "first page, newest first": lambda: catalog.list_page(order="newest"),
        f"any page of {MAX_LIMIT} by key": lambda: catalog.list_page(limit=MAX_LIMIT, cursor=behind(some(), "key")),
        "any page, newest first": lambda: catalog.list_page(order="newest", cursor=behind(some(), "newest")),
    }
    found = [_figure(what, ask, times, listing=True) for what, ask in pages.items()]
    others: dict[str, Callable[[], object]] = {
        "neighbours by key": lambda: catalog.neighbours(key(some())),
        "neighbours, newest first": lambda: catalog.neighbours(key(some()), order="newest"),
        "one image": lambda: catalog.find(key(some())),
        "counts": catalog.usage,
        "a new image": lambda: catalog.put(_upload(f"new/{some()}-{next(_numbers)}"), _ACTOR),
    }
    return [*found, *(_figure(what, ask, times) for what, ask in others.items())]


def delete_all(engine: Engine, images: int, rows: int) -> list[Figure]:
    """Delete batch by batch, `images` in all, while others read, list and write."""
    catalog, chance = Catalog(engine), random.Random(2)
    over = threading.Event()
    asked: dict[str, Callable[[], object]] = {
        "one image, meanwhile": lambda: catalog.find(key(chance.randrange(rows))),
        "a page, meanwhile": lambda: catalog.list_page(prefix="album-9/"),
        "a new image, meanwhile": lambda: catalog.put(_upload(f"zz/{next(_numbers)}"), _ACTOR),
    }
    took: dict[str, list[float]] = {what: [] for what in asked}

    def ask(what: str) -> None:
        while not over.is_set():
            took[what].append(_seconds(asked[what]))

    threads = [threading.Thread(target=ask, args=(what,)) for what in asked]
    for thread in threads:
        thread.start()
    batches, deleted, after = [], 0, None
    try:
        while deleted < min(images, rows):
            began = time.perf_counter()
            changes, after = catalog.delete_batch(after, DELETE_BATCH, new_write_id)
            batches.append(time.perf_counter() - began)
            if after is None:
                break
            deleted += len(changes)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    return [_of(f"{DELETE_BATCH} images deleted", batches), *(_of(what, times) for what, times in took.items())]


def _figure(what: str, ask: Callable[[], object], times: int, *, listing: bool = False) -> Figure:
    ask()  # connects, and makes the statement
    return _of(what, [_seconds(ask) for _ in range(times)], listing=listing)


def _of(what: str, seconds: list[float], *, listing: bool = False) -> Figure:
    ordered = [1000 * one for one in sorted(seconds)] or [0.0]
    return Figure(
        what, ordered[len(ordered) // 2], ordered[len(ordered) * 95 // 100], ordered[-1], len(seconds), listing
    )


def _seconds(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


_numbers = count()
_ACTOR = Actor(1, "ann")


def _upload(name: str) -> NewImage:
    facts = ImageFacts(name, 0, "0" * 64, 100, "image/jpeg", "JPEG", 1, 1, 1, "ann", 0.0, 0.0)
    return NewImage(new_write_id(), facts, new_name(), _LONG_AHEAD)
