"""The scrubber reads everything that is referred to, records what is bad, and can be interrupted at any object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from testing.storage_parts import Parts, large_picture, picture

from elastic_images.core.errors import Damaged, Unavailable
from elastic_images.storage.catalog.references import References
from elastic_images.storage.catalog.tables import trash
from elastic_images.storage.upkeep import scrubber
from elastic_images.storage.upkeep.leases import UpkeepLeases
from elastic_images.storage.upkeep.scrub_record import ScrubRecord
from elastic_images.storage.upkeep.scrubber import Scrubber

DAY = 86_400


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


class Store:
    """Notes which objects are opened, in order."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.opened: list[str] = []
        self.on_open: Callable[[str], None] = lambda _name: None

    def __getattr__(self, name: str) -> object:
        return getattr(self._parts.store, name)

    def open(self, name: str) -> object:
        self.opened.append(name)
        self.on_open(name)
        return self._parts.store.open(name)


@pytest.fixture
def store(parts: Parts) -> Store:
    return Store(parts)


@pytest.fixture
def make(parts: Parts, store: Store) -> Callable[..., Scrubber]:
    def made(days: float = 30.0) -> Scrubber:
        return Scrubber(
            ScrubRecord(parts.engine),
            References(parts.engine),
            UpkeepLeases(parts.engine, clock=parts.clock),
            store,  # type: ignore[arg-type]
            parts.bad_objects,
            parts._verify_store,
            days=days,
            clock=parts.clock,
        )

    return made


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubber, "_LEAST_BYTES_PER_SECOND", 1e12)
    monkeypatch.setattr(scrubber, "_SAVE_SECONDS", 0.0)


def listed(parts: Parts) -> list[tuple[str, str]]:
    return [(row["key"], row["state"]) for row in parts.bad_objects.page()["images"]]


@contextmanager
def interrupted_after(objects: int, made: Scrubber, store: Store) -> Iterator[None]:
    def stop(_name: str) -> None:
        if len(store.opened) > objects:
            made.stop()

    store.on_open = stop
    yield
    store.on_open = lambda _name: None


def test_a_round_reads_every_object_in_the_order_of_names(
    parts: Parts, store: Store, make: Callable[..., Scrubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elastic_images.storage.catalog.references._PAGE", 3)
    for number in range(10):
        parts.put(f"k{number}", picture(seed=number))
    parts.put("large", large_picture())
    made = make()
    made.work()
    assert store.opened == sorted(parts.objects())
    status = made.status()
    assert (status["objects"], status["total_objects"], status["bad"]) == (11, 11, 0)
    assert status["size_bytes"] == status["total_bytes"]
    assert not status["running"]
    assert status["finished_at"] == parts.clock.now
    assert made.figures() == {"scrub_objects": 11, "scrub_age_seconds": 0.0}


def test_the_next_round_begins_when_the_days_are_over(
    parts: Parts, store: Store, make: Callable[..., Scrubber]
) -> None:
    parts.put("k", picture())
    made = make(days=30)
    made.work()
    made.work()
    assert len(store.opened) == 1
    parts.clock.now += 30 * DAY - 1
    made.work()
    assert len(store.opened) == 1
    parts.clock.now += 1
    made.work()
    assert len(store.opened) == 2


def test_without_days_only_requested_rounds_run(parts: Parts, store: Store, make: Callable[..., Scrubber]) -> None:
    parts.put("k", picture())
    made = make(days=0)
    made.work()
    assert store.opened == []
    assert made.request()["requested"]
    made.work()
    assert len(store.opened) == 1
    assert made.status()["requested_at"] is None
    made.work()
    assert len(store.opened) == 1


def test_bad_objects_are_recorded_and_the_rest_is_read(parts: Parts, make: Callable[..., Scrubber]) -> None:
    for key in ("good", "damaged", "lost", "cut"):
        parts.put(key, picture(seed=len(key)))
    flip(parts.path_of("damaged"))
    parts.path_of("lost").unlink()
    parts.path_of("cut").write_bytes(b"short")
    made = make()
    made.work()
    assert listed(parts) == [("cut", "damaged"), ("damaged", "damaged"), ("lost", "lost")]
    assert made.status()["bad"] == 3


def test_a_read_that_fails_by_chance_brands_no_object(
    parts: Parts, store: Store, make: Callable[..., Scrubber]
) -> None:
    parts.put("k", picture())
    path = parts.path_of("k")
    store.on_open = lambda _name: flip(path)
    made = make()
    made.work()
    assert len(store.opened) == 2
    assert listed(parts) == []


def test_an_object_that_is_right_again_is_taken_off_the_list(parts: Parts, make: Callable[..., Scrubber]) -> None:
    parts.put("k", picture())
    flip(parts.path_of("k"))
    with pytest.raises(Damaged):
        parts.reader.read("k")
    flip(parts.path_of("k"))
    assert listed(parts) == [("k", "damaged")]
    make().work()
    assert listed(parts) == []


def test_what_was_replaced_while_it_was_read_is_not_bad(
    parts: Parts, store: Store, make: Callable[..., Scrubber]
) -> None:
    parts.put("k", picture())
    old = parts.path_of("k")

    def replace(_name: str) -> None:
        store.on_open = lambda _name: None
        parts.put("k", picture(seed=2))
        with parts.engine.begin() as connection:
            connection.execute(update(trash).values(claimed_by="collector"))
        old.unlink()

    store.on_open = replace
    made = make()
    made.work()
    assert made.status()["bad"] == 0
    assert parts.bad_objects.known([old.name]) == set()


def test_the_trash_is_read_too(parts: Parts, store: Store, make: Callable[..., Scrubber]) -> None:
    parts.put("k", picture())
    found = parts.catalog.find("k")
    assert found is not None
    name = "0" * 32
    parts.store.put([picture()], name)
    row = {
        "key": "k", "version": 1, "object_name": name, "size_bytes": found.facts.size_bytes, "owner_id": None,
        "facts": json.dumps(found.facts.to_json()), "deleted_at": 0.0, "until": 0.0, "claimed_by": None, "attempts": 0,
        "next_attempt_at": 0.0,
    }  # fmt: skip
    with parts.engine.begin() as connection:
        connection.execute(insert(trash).values(row))
        connection.execute(insert(trash).values({**row, "object_name": "1" * 32, "facts": None}))
    flip(parts.folder / "objects" / name[:2] / name)
    make().work()
    assert set(store.opened) == {name, found.object_name}
    assert parts.bad_objects.known([name]) == {name}
    assert listed(parts) == [], "the image itself is fine"


def test_nothing_is_lost_while_the_store_is_away(parts: Parts, make: Callable[..., Scrubber]) -> None:
    parts.put("k", picture())
    parts.path_of("k").unlink()
    parts.store_away = "another store"
    made = make()
    with pytest.raises(Unavailable):
        made.work()
    assert listed(parts) == []
    parts.store_away = None
    made.work()
    assert listed(parts) == [("k", "lost")]


def test_another_process_goes_on_where_a_round_was_interrupted(
    parts: Parts, store: Store, make: Callable[..., Scrubber]
) -> None:
    for number in range(6):
        parts.put(f"k{number}", picture(seed=number))
    first = make()
    with interrupted_after(3, first, store):
        first.work()
    assert first.status()["running"]
    assert first.status()["objects"] == 3
    second = make()
    second.work()
    assert store.opened == [*sorted(parts.objects())[:4], *sorted(parts.objects())[3:]]
    assert second.status()["objects"] == 6


def test_a_request_starts_a_running_round_over(parts: Parts, store: Store, make: Callable[..., Scrubber]) -> None:
    for number in range(4):
        parts.put(f"k{number}", picture(seed=number))
    made = make()

    def request(_name: str) -> None:
        if len(store.opened) == 2:
            parts.clock.now += 1
            made.request()

    store.on_open = request
    made.work()
    assert made.status()["requested"]
    seen = len(store.opened)
    made.work()
    assert store.opened[seen:] == sorted(parts.objects())
    assert not made.status()["requested"]


def test_one_process_works_at_a_time(parts: Parts, store: Store, make: Callable[..., Scrubber]) -> None:
    parts.put("k", picture())
    first, second = make(), make()
    store.on_open = lambda _name: second.work()
    first.work()
    assert len(store.opened) == 1


def test_the_rate_spreads_a_round_over_its_days(
    parts: Parts, store: Store, make: Callable[..., Scrubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(scrubber, "_LEAST_BYTES_PER_SECOND", 0.001)
    made = make(days=2)
    monkeypatch.setattr(made._stopping, "wait", waits.append)
    for number in range(4):
        parts.put(f"k{number}", picture(seed=number))
    made.work()
    assert len(waits) == len(store.opened) == 4
    # No time passes in this test, so the last wait is that of all objects together.
    assert waits[-1] == pytest.approx(2 * DAY / 1.2, rel=0.001)
