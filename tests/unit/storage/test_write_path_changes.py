"""Renames, visibility and batches: caches know before the answer, and what failed says so."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from testing.storage_parts import ANN, Parts, picture, write_id

from elastic_images.core.errors import StoreAway, Unavailable
from elastic_images.storage.batch import Operation
from elastic_images.storage.catalog.catalog import Change


def names(parts: Parts) -> list[str]:
    return [image.key for image in parts.catalog.list_page().images]


def test_a_rename_is_answered_once_caches_know_of_both_keys(parts: Parts) -> None:
    parts.put("a", picture())
    parts.caches.told.clear()
    seen: list[list[str]] = []
    parts.caches.on_invalidate = lambda: seen.append(names(parts))
    facts = parts.writes.move("a", "b", write_id=write_id(), actor=ANN)
    assert (facts.key, seen, parts.caches.told) == ("b", [["b"]], [("b", "a")])
    parts.writes.set_visibility("b", "private", write_id=write_id(), actor=ANN)
    assert parts.caches.told[1:] == [("b",)]


def test_a_rename_that_a_cache_does_not_confirm_is_stored_and_finished_later(parts: Parts) -> None:
    parts.put("a", picture())
    parts.caches.reachable = False
    one = write_id()
    for _ in range(2):
        with pytest.raises(Unavailable, match="The change is stored"):
            parts.writes.move("a", "b", write_id=one, actor=ANN)
    assert names(parts) == ["b"]
    parts.caches.reachable = True
    parts.caches.told.clear()
    parts.writes.move("a", "b", write_id=one, actor=ANN)
    assert parts.caches.told == [("b", "a")]
    parts.acknowledger.mark_done()
    parts.writes.move("a", "b", write_id=one, actor=ANN)
    assert parts.caches.told == [("b", "a")], "all is done"
    assert parts.acknowledger.take_up(0) == 0


def test_nothing_is_renamed_while_the_store_is_away(parts: Parts) -> None:
    parts.put("a", picture())

    def away() -> None:
        raise StoreAway("The object store is away.")

    parts.writes._require_store = away
    for act in (
        lambda: parts.writes.move("a", "b", write_id=write_id(), actor=ANN),
        lambda: parts.writes.set_visibility("a", "private", write_id=write_id(), actor=ANN),
        lambda: parts.writes.batch([Operation("a")], batch_id=write_id(), actor=ANN),
    ):
        with pytest.raises(StoreAway):
            act()
    assert names(parts) == ["a"]


def test_a_batch_tells_caches_of_a_hundred_operations_at_a_time(parts: Parts) -> None:
    for number in range(3):
        parts.put(f"k{number}", picture())
    parts.caches.told.clear()
    missing = [Operation(f"missing{number}") for number in range(200)]
    operations = [Operation("k0"), Operation("k1", to="l1"), *missing, Operation("k2", visibility="private")]
    results = parts.writes.batch(operations, batch_id=write_id(), actor=ANN)
    assert [result["status"] for result in results] == [204, 200, *[404] * 200, 200]
    assert parts.caches.told == [("k0", "l1", "k1"), ("k2",)]


def test_a_batch_whose_changes_no_cache_confirms_says_so_and_stops(parts: Parts) -> None:
    for number in range(2):
        parts.put(f"k{number}", picture())
    parts.caches.reachable = False
    missing = [Operation(f"missing{number}") for number in range(99)]
    operations, one = [Operation("k0"), *missing, Operation("k1")], write_id()
    results = parts.writes.batch(operations, batch_id=one, actor=ANN)
    assert [result["status"] for result in results] == [503, *[404] * 99, 503]
    assert "The change is stored" in results[0]["detail"]
    assert names(parts) == ["k1"], "it was not tried"
    parts.caches.reachable = True
    again = parts.writes.batch(operations, batch_id=one, actor=ANN)
    assert [result["status"] for result in again] == [204, *[404] * 99, 204]


def test_a_batch_stops_where_the_database_does_not_answer(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        parts.put(f"k{number}", picture())
    delete, calls = parts.catalog.delete, itertools.count()

    def failing(*arguments: Any) -> Change:
        if next(calls) == 1:
            raise OperationalError("DELETE", None, Exception("gone"))
        return delete(*arguments)

    monkeypatch.setattr(parts.catalog, "delete", failing)
    results = parts.writes.batch([Operation(f"k{n}") for n in range(3)], batch_id=write_id(), actor=ANN)
    assert [result["status"] for result in results] == [204, 503, 503]
    assert results[2]["detail"] == "The database does not answer."
    assert names(parts) == ["k1", "k2"]
    assert parts.caches.told[-1] == ("k0",), "what was done is finished"
