"""The trash on every kind of database: in, listed, restored, claimed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, insert, select
from testing.clock import Clock
from testing.storage_parts import ADMIN, ANN, BOB, NOBODY, upload_of, write_id

from elastic_images.core.errors import Conflict, Forbidden, InvalidRequest, NotFound, PreconditionFailed
from elastic_images.core.image_facts import Actor, Usage
from elastic_images.storage.catalog.catalog import Catalog
from elastic_images.storage.catalog.change_log import ChangeLog
from elastic_images.storage.catalog.listing import Cursor
from elastic_images.storage.catalog.tables import image_changes, trash
from elastic_images.storage.catalog.trash import CLAIM_SECONDS, GRACE_SECONDS, Trash
from elastic_images.storage.conditions import Conditions
from elastic_images.storage.upkeep.leases import UpkeepLeases

DAY = 86_400.0
ABSENT = Conditions.parse(None, "*")


@pytest.fixture
def engine(catalog_engine: Engine) -> Engine:
    return catalog_engine


@pytest.fixture
def catalog(engine: Engine, clock: Clock) -> Catalog:
    return Catalog(engine, retention_seconds=7 * DAY, clock=clock, monotonic=Clock(0.0))


@pytest.fixture
def bin_(engine: Engine, clock: Clock) -> Trash:
    return Trash(engine, clock=clock, monotonic=clock)


def finish_all(engine: Engine, clock: Clock) -> None:
    """Mark every change as done."""
    with engine.connect() as connection:
        ids = connection.execute(select(image_changes.c.id)).scalars().all()
    ChangeLog(engine, clock=clock).mark_done(ids)


def listed(bin_: Trash, actor: Actor = ADMIN, prefix: str = "", limit: int = 2) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    cursor: str | None = None
    while True:
        page = bin_.page(actor, prefix=prefix, limit=limit, cursor=cursor)
        found += [(entry["key"], entry["version"]) for entry in page["entries"]]
        cursor = page["next"]
        if cursor is None:
            return found


def only_id(bin_: Trash, key: str) -> int:
    found = bin_.newest(ADMIN, key)
    assert found is not None
    return found


def test_what_is_deleted_or_replaced_is_in_the_trash(catalog: Catalog, bin_: Trash, clock: Clock) -> None:
    catalog.put(upload_of("k", size_bytes=7), ANN)
    assert listed(bin_) == []
    catalog.put(upload_of("k", 1), ANN)
    clock.now += 10
    catalog.delete("k", write_id(), ANN)
    (first, second) = bin_.page(ANN)["entries"]
    assert first == {
        "id": first["id"],
        "key": "k",
        "version": 1,
        "deleted_at": clock.now - 10,
        "until": clock.now - 10 + 7 * DAY,
        "size_bytes": 7,
        "owner": "ann",
    }
    assert (second["version"], second["deleted_at"]) == (2, clock.now)
    assert bin_.usage() == {"trash_images": 2, "trash_bytes": 107}
    for number in range(3):
        catalog.put(upload_of(f"many/{number}"), BOB)
    catalog.delete_batch(None, 100, write_id)
    assert listed(bin_, prefix="many/") == [(f"many/{number}", 1) for number in range(3)]
    assert bin_.usage()["trash_images"] == 2, "a few seconds old"
    clock.now += 5
    assert bin_.usage() == {"trash_images": 5, "trash_bytes": 407}


def test_everybody_sees_their_own(catalog: Catalog, bin_: Trash) -> None:
    for actor in (ANN, BOB, NOBODY):
        for key in ("a", f"of-{actor.name}"):
            catalog.put(upload_of(key, actor=actor), actor)
            catalog.delete(key, write_id(), actor)
    assert listed(bin_, ANN) == [("a", 1), ("of-ann", 1)]
    assert listed(bin_, BOB) == [("a", 3), ("of-bob", 1)]
    assert listed(bin_, NOBODY, prefix="of-") == [("of-anonymous", 1)]
    assert listed(bin_, ADMIN) == [("a", 1), ("a", 3), ("a", 5), ("of-ann", 1), ("of-anonymous", 1), ("of-bob", 1)]
    theirs = bin_.newest(BOB, "a")
    assert theirs is not None
    assert bin_.newest(ANN, "of-bob") is None
    with pytest.raises(NotFound):
        catalog.restore(theirs, write_id(), ANN)
    assert catalog.find("a") is None


def test_a_restored_image_is_a_new_version_of_its_key(
    catalog: Catalog, bin_: Trash, clock: Clock, engine: Engine
) -> None:
    upload = upload_of("k")
    first = catalog.put(upload, ANN).facts
    clock.now += 100
    catalog.delete("k", write_id(), ANN)
    clock.now -= 1000
    change = catalog.restore(only_id(bin_, "k"), "f" * 32, ADMIN)
    assert (change.created, change.done, change.key) == (True, False, "k")
    found = catalog.find("k")
    assert found is not None
    assert first is not None
    assert found.facts == change.facts
    assert (found.object_name, found.owner_id, found.facts.owner) == (upload.object_name, 1, "ann")
    assert (found.facts.version, found.facts.sha256) == (3, first.sha256)
    assert found.facts.created_at == first.created_at
    assert found.facts.updated_at > first.updated_at
    assert catalog.usage() == Usage(images=1, bytes=100)
    assert listed(bin_) == []
    again = catalog.restore(1, "f" * 32, ADMIN)
    assert (again.id, again.facts, again.repeated) == (change.id, change.facts, True)
    # And once more into the trash, under the same object's name.
    catalog.delete("k", write_id(), ANN)
    assert listed(bin_) == [("k", 3)]
    with engine.connect() as connection:
        olds = connection.execute(select(image_changes.c.old_object).order_by(image_changes.c.id)).scalars().all()
    assert olds == [None, upload.object_name, None, upload.object_name]


def test_what_a_restore_replaces_goes_into_the_trash(catalog: Catalog, bin_: Trash) -> None:
    catalog.put(upload_of("k", 1), ANN)
    catalog.put(upload_of("k", 2, size_bytes=30), ANN)
    entry = only_id(bin_, "k")
    with pytest.raises(PreconditionFailed):
        catalog.restore(entry, write_id(), ANN, ABSENT)
    change = catalog.restore(entry, write_id(), ANN)
    assert change.facts is not None
    assert (change.created, change.facts.version, change.facts.size_bytes) == (False, 3, 100)
    assert listed(bin_) == [("k", 2)]
    assert catalog.usage() == Usage(images=1, bytes=100)
    with pytest.raises(NotFound):
        catalog.restore(entry, write_id(), ANN)


def test_nobody_restores_over_the_image_of_somebody_else(catalog: Catalog, bin_: Trash) -> None:
    catalog.put(upload_of("k", 1), ANN)
    catalog.delete("k", write_id(), ANN)
    theirs = catalog.put(upload_of("k", 2, actor=BOB), BOB).facts
    entry = only_id(bin_, "k")
    with pytest.raises(Forbidden):
        catalog.restore(entry, write_id(), ANN)
    found = catalog.find("k")
    assert found is not None
    assert found.facts == theirs
    assert listed(bin_) == [("k", 1)]
    facts = catalog.restore(entry, write_id(), ADMIN).facts
    assert facts is not None
    assert (facts.owner, facts.version) == ("ann", 4)


def test_write_ids_of_other_writes_restore_nothing(catalog: Catalog, bin_: Trash) -> None:
    catalog.put(upload_of("k"), ANN)
    used = write_id()
    catalog.delete("k", used, ANN)
    with pytest.raises(Conflict):
        catalog.restore(only_id(bin_, "k"), used, ANN)
    assert catalog.find("k") is None


def test_entries_without_facts_and_those_that_are_due_cannot_be_restored(
    catalog: Catalog, bin_: Trash, engine: Engine, clock: Clock
) -> None:
    row = {"key": "old", "version": 1, "object_name": "a" * 32, "size_bytes": 0, "deleted_at": 1.0}
    with engine.begin() as connection:
        connection.execute(insert(trash).values(row | {"until": 9e9, "attempts": 0, "next_attempt_at": 9e9}))
    assert listed(bin_) == []
    with pytest.raises(Conflict, match="before there was a trash"):
        catalog.restore(1, write_id(), ADMIN)
    catalog.put(upload_of("k"), ANN)
    catalog.delete("k", write_id(), ANN)
    entry = only_id(bin_, "k")
    clock.now += 7 * DAY
    assert listed(bin_) == []
    with pytest.raises(Conflict, match="is being removed"):
        catalog.restore(entry, write_id(), ANN)


def test_an_entry_is_claimed_once_its_time_is_over_and_its_change_is_done(
    catalog: Catalog, bin_: Trash, engine: Engine, clock: Clock
) -> None:
    upload = upload_of("k")
    catalog.put(upload, ANN)
    catalog.delete("k", write_id(), ANN)
    clock.now += 7 * DAY
    assert bin_.claim("me", 10) == [], "a cache may not know of the change yet"
    assert bin_.backlog() == (1, clock.now)
    finish_all(engine, clock)
    clock.now -= 1
    assert bin_.claim("me", 10) == []
    clock.now += 1
    (claimed,) = bin_.claim("me", 10)
    assert (claimed.object_name, claimed.attempts) == (upload.object_name, 0)
    assert bin_.claim("me", 10) == bin_.claim("other", 10) == []
    clock.now += CLAIM_SECONDS
    (taken_over,) = bin_.claim("other", 10)
    bin_.failed(taken_over)
    clock.now += 59
    assert bin_.claim("me", 10) == []
    clock.now += 1
    (claimed,) = bin_.claim("me", 10)
    assert claimed.attempts == 1
    bin_.forget([claimed])
    assert bin_.backlog() == (0, None)
    assert bin_.page(ADMIN)["entries"] == []


def test_nothing_is_claimed_during_a_backup(catalog: Catalog, bin_: Trash, engine: Engine, clock: Clock) -> None:
    catalog.put(upload_of("k"), ANN)
    catalog.delete("k", write_id(), ANN)
    finish_all(engine, clock)
    clock.now += 7 * DAY
    leases = UpkeepLeases(engine, clock=clock)
    assert leases.acquire("backup", "b")
    assert bin_.claim("me", 10) == []
    leases.release("backup", "b")
    assert len(bin_.claim("me", 10)) == 1


def test_purging_makes_a_prefix_due_at_once(catalog: Catalog, bin_: Trash, engine: Engine, clock: Clock) -> None:
    for key in ("a/1", "a/2", "b"):
        catalog.put(upload_of(key), ANN)
        catalog.delete(key, write_id(), ANN)
    finish_all(engine, clock)
    assert bin_.purge("a/") == 2
    assert bin_.purge("a/") == 0
    assert listed(bin_) == [("b", 1)]
    assert len(bin_.claim("me", 10)) == 2
    assert bin_.purge() == 1


def test_a_short_retention_is_five_minutes(engine: Engine, clock: Clock, bin_: Trash) -> None:
    catalog = Catalog(engine, retention_seconds=0, clock=clock, monotonic=Clock(0.0))
    catalog.put(upload_of("k"), ANN)
    catalog.delete("k", write_id(), ANN)
    finish_all(engine, clock)
    clock.now += GRACE_SECONDS - 1
    assert bin_.claim("me", 10) == []
    clock.now += 1
    assert len(bin_.claim("me", 10)) == 1


def test_bad_listings_are_refused(catalog: Catalog, bin_: Trash) -> None:
    for key in ("a", "b"):
        catalog.put(upload_of(key), ANN)
        catalog.delete(key, write_id(), ANN)
    of_images = Cursor("a", 1.0).encode("key")
    bad: list[dict[str, object]] = [
        {"limit": 0},
        {"limit": 1001},
        {"cursor": "nonsense"},
        {"cursor": of_images},
        {"cursor": Cursor("a", float("nan")).encode("trash")},
        {"prefix": "\ud800"},
    ]
    for options in bad:
        with pytest.raises(InvalidRequest):
            bin_.page(ANN, **options)  # type: ignore[arg-type]
    assert bin_.page(ANN, cursor=Cursor("a", 1e300).encode("trash"))["entries"][0]["key"] == "b"


def test_an_entry_is_either_restored_or_claimed(catalog: Catalog, bin_: Trash, engine: Engine, clock: Clock) -> None:
    """Many at once, restored while the collector claims: each has one fate, and no image lacks its object."""
    for number in range(12):
        catalog.put(upload_of(f"k{number}"), ANN)
        catalog.delete(f"k{number}", write_id(), ANN)
    finish_all(engine, clock)
    with engine.begin() as connection:
        # Due, and yet not too late to be restored: a claim and a restore judge by clocks of their own.
        connection.execute(trash.update().values(until=clock.now, next_attempt_at=clock.now))
        ids = list(connection.execute(select(trash.c.id)).scalars())
    early = Catalog(engine, clock=Clock(clock.now - 1), monotonic=Clock(0.0))
    start = threading.Barrier(3)

    def restore(part: int) -> list[str]:
        start.wait()
        done = []
        for entry in ids[part::2]:
            try:
                done.append(early.restore(entry, write_id(), ANN).key)
            except (Conflict, NotFound):
                continue
        return done

    def claim() -> list[str]:
        start.wait()
        claimed = [one for _ in range(6) for one in bin_.claim("me", 2)]
        return [one.object_name for one in claimed]

    with ThreadPoolExecutor(3) as pool:
        restored = [pool.submit(restore, part) for part in range(2)]
        claims = pool.submit(claim).result()
        keys = [key for one in restored for key in one.result()]
    assert len(keys) + len(claims) == 12
    assert not {found.object_name for key in keys if (found := catalog.find(key))} & set(claims)


def test_an_entry_restored_twice_at_once_is_restored_once(catalog: Catalog, bin_: Trash) -> None:
    catalog.put(upload_of("k"), ANN)
    catalog.delete("k", write_id(), ANN)
    entry = only_id(bin_, "k")

    def restore(_: int) -> bool:
        try:
            catalog.restore(entry, write_id(), ANN)
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(restore, range(4))) == [False, False, False, True]
    found = catalog.find("k")
    assert found is not None
    assert found.facts.version == 3
