"""The catalog on every kind of database, concurrency included."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, insert, select, text
from testing.clock import Clock
from testing.query_plans import explained
from testing.storage_parts import ADMIN, ANN, BOB, NOBODY, upload_of, write_id

from elastic_images.core.errors import Conflict, Forbidden, InvalidRequest, NotFound, PreconditionFailed, Unavailable
from elastic_images.core.image_facts import Neighbours, Usage
from elastic_images.core.restored_facts import RestoredFacts
from elastic_images.core.visibility import Visibility
from elastic_images.storage.catalog.catalog import (
    DONE,
    MAX_OBJECT_AGE_SECONDS,
    PENDING,
    Catalog,
    Change,
    NewImage,
)
from elastic_images.storage.catalog.change_log import ChangeLog
from elastic_images.storage.catalog.listing import Order, end_of_prefix
from elastic_images.storage.catalog.tables import image_changes, image_keys, images
from elastic_images.storage.conditions import Conditions

MAX_KEY = "\U0001f600" * 255


@pytest.fixture
def engine(catalog_engine: Engine) -> Engine:
    return catalog_engine


@pytest.fixture
def catalog(engine: Engine, clock: Clock) -> Catalog:
    return Catalog(engine, clock=clock, monotonic=Clock(0.0))


def keys_of(catalog: Catalog, *, order: Order = "key", prefix: str = "", limit: int = 2) -> list[str]:
    """All keys of a listing, page by page."""
    found: list[str] = []
    cursor = None
    while True:
        page = catalog.list_page(order=order, prefix=prefix, limit=limit, cursor=cursor)
        found += [image.key for image in page.images]
        cursor = page.next
        if cursor is None:
            return found


def test_what_is_put_is_found(catalog: Catalog, clock: Clock) -> None:
    upload = upload_of("päth/图.png", size_bytes=3_000_000_000)
    change = catalog.put(upload, ANN)
    found = catalog.find("päth/图.png")
    assert found is not None
    assert found.facts == change.facts
    assert (found.object_name, found.owner_id) == (upload.object_name, 1)
    assert (found.facts.version, found.facts.owner) == (1, "ann")
    assert found.facts.created_at == found.facts.updated_at == clock.now
    assert (change.created, change.done, change.repeated) == (True, False, False)
    assert catalog.find("päth/图") is None


def test_version_and_time_grow_with_each_change_over_delete_and_re_creation(catalog: Catalog, clock: Clock) -> None:
    """The clock stands still, and goes back: the time of the key grows by a second nevertheless."""
    seen: list[tuple[int, float]] = []
    for _ in range(3):
        change = catalog.put(upload_of("k"), ANN)
        assert change.facts is not None
        seen.append((change.facts.version, change.facts.updated_at))
        clock.now -= 50
        catalog.delete("k", write_id(), ANN)
    assert [version for version, _ in seen] == [1, 3, 5]
    assert [at for _, at in seen] == [seen[0][1] + 2 * step for step in range(3)]


def test_replacing_keeps_the_owner_and_the_time_of_creation(catalog: Catalog, clock: Clock) -> None:
    first = catalog.put(upload_of("k"), ANN).facts
    clock.now += 100
    change = catalog.put(upload_of("k", 1, actor=ADMIN), ADMIN)
    assert first is not None
    assert change.facts is not None
    assert not change.created
    assert (change.facts.owner, change.facts.created_at) == ("ann", first.created_at)
    assert change.facts.updated_at == clock.now


KEPT = RestoredFacts("zoë", 1_600_000_000.123456, 1_700_000_000.654321, 7)


def kept_upload(seed: int = 0, kept: RestoredFacts = KEPT) -> NewImage:
    return replace(upload_of("k", seed), kept=kept)


def test_kept_facts_are_kept_exactly(catalog: Catalog, clock: Clock) -> None:
    change = catalog.put(kept_upload(), ADMIN)
    found = catalog.find("k")
    assert found is not None
    assert found.facts == change.facts
    facts = found.facts
    assert (facts.owner, facts.created_at, facts.updated_at, facts.version) == (
        "zoë",
        1_600_000_000.123456,
        1_700_000_000.654321,
        7,
    )
    assert found.owner_id is None
    later = catalog.put(upload_of("k", 1), ADMIN).facts
    assert later is not None
    assert (later.owner, later.created_at, later.updated_at, later.version) == (
        "zoë",
        1_600_000_000.123456,
        clock.now,
        8,
    )


def test_kept_facts_replace_those_of_the_image_before(catalog: Catalog) -> None:
    catalog.put(upload_of("k"), ANN)
    facts = catalog.put(kept_upload(1, replace(KEPT, owner="bob", owner_id=2)), ADMIN).facts
    assert facts is not None
    assert (facts.owner, facts.created_at) == ("bob", KEPT.created_at)
    found = catalog.find("k")
    assert found is not None
    assert found.owner_id == 2


@pytest.mark.parametrize("deleted", [False, True])
def test_kept_facts_never_take_a_version_or_a_time_back(catalog: Catalog, clock: Clock, deleted: bool) -> None:
    """Caches and clients tell an image's states apart by these: one that was used must not come again."""
    for seed in range(9):
        catalog.put(upload_of("k", seed), ADMIN)
    before = catalog.find("k")
    assert before is not None
    version, updated_at = before.facts.version, before.facts.updated_at
    if deleted:
        catalog.delete("k", write_id(), ADMIN)
        version, updated_at = version + 1, updated_at + 1
    seen = [(version, updated_at)]
    # The same facts again and again, then a version above, then a time above.
    ahead = clock.now + 1000
    for kept in (KEPT, KEPT, replace(KEPT, version=50), replace(KEPT, updated_at=ahead), KEPT):
        facts = catalog.put(kept_upload(0, kept), ADMIN).facts
        assert facts is not None
        seen.append((facts.version, facts.updated_at))
    versions, times = [version for version, _ in seen], [at for _, at in seen]
    assert versions == [version, version + 1, version + 2, 50, 51, 52]
    assert times == [updated_at, updated_at + 1, updated_at + 2, updated_at + 3, ahead, ahead + 1]


def test_an_owner_who_is_nobody_here_has_no_rights(catalog: Catalog) -> None:
    catalog.put(kept_upload(kept=replace(KEPT, owner="ann")), ADMIN)
    for actor in (NOBODY, ANN, BOB):
        with pytest.raises(Forbidden):
            catalog.put(upload_of("k", 1), actor)
        with pytest.raises(Forbidden):
            catalog.delete("k", write_id(), actor)
    catalog.delete("k", write_id(), ADMIN)


def test_a_known_owner_of_a_restored_image_has_his_rights(catalog: Catalog) -> None:
    catalog.put(kept_upload(kept=replace(KEPT, owner="ann", owner_id=1)), ADMIN)
    with pytest.raises(Forbidden):
        catalog.put(upload_of("k", 1), BOB)
    catalog.put(upload_of("k", 1), ANN)


@pytest.mark.parametrize(
    ("owner", "actor", "allowed"),
    [
        (ANN, ANN, True),
        (ANN, BOB, False),
        (ANN, ADMIN, True),
        (ANN, NOBODY, False),
        (NOBODY, NOBODY, True),
        (NOBODY, BOB, False),
        (NOBODY, ADMIN, True),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_who_may_change(catalog: Catalog, owner: object, actor: object, allowed: bool) -> None:
    catalog.put(upload_of("k", actor=owner), owner)  # type: ignore[arg-type]
    before = catalog.find("k")
    if allowed:
        catalog.put(upload_of("k", 1), actor)  # type: ignore[arg-type]
        catalog.delete("k", write_id(), actor)  # type: ignore[arg-type]
        return
    with pytest.raises(Forbidden):
        catalog.put(upload_of("k", 1), actor)  # type: ignore[arg-type]
    with pytest.raises(Forbidden):
        catalog.delete("k", write_id(), actor)  # type: ignore[arg-type]
    assert catalog.find("k") == before


def test_conditions_are_judged_on_the_present_image(catalog: Catalog) -> None:
    absent = Conditions.parse(None, "*")
    facts = catalog.put(upload_of("k"), ANN, absent).facts
    assert facts is not None
    with pytest.raises(PreconditionFailed):
        catalog.put(upload_of("k", 1), ANN, absent)
    with pytest.raises(PreconditionFailed):
        catalog.put(upload_of("k", 1), ANN, Conditions.parse('"other"', None))
    with pytest.raises(PreconditionFailed):
        catalog.put(upload_of("other"), ANN, Conditions.parse(facts.etag, None))
    assert catalog.put(upload_of("k", 2), ANN, Conditions.parse(f'"x", {facts.etag}', None)).facts is not None
    with pytest.raises(PreconditionFailed):
        catalog.delete("k", write_id(), ANN, Conditions.parse(facts.etag, None))
    found = catalog.find("k")
    assert found is not None
    assert found.facts.version == 2


def test_a_repeated_write_takes_effect_once_and_gives_the_same_answer(catalog: Catalog) -> None:
    upload = upload_of("k")
    first = catalog.put(upload, ANN)
    catalog.put(upload_of("k", 5), ANN)
    again = catalog.put(upload, ANN, Conditions.parse(None, "*"))
    assert (again.repeated, again.facts, again.created, again.id) == (True, first.facts, True, first.id)
    found = catalog.find("k")
    assert found is not None
    assert found.facts.version == 2
    assert catalog.find_put(upload.write_id, "k") == again
    with pytest.raises(Conflict):
        catalog.find_put(upload.write_id, "other")
    deletion = write_id()
    catalog.delete("k", deletion, ANN)
    assert catalog.delete("k", deletion, ANN).repeated
    with pytest.raises(Conflict):
        catalog.delete("k", upload.write_id, ANN)
    with pytest.raises(Conflict):
        catalog.find_put(deletion, "k")
    assert catalog.find_put(write_id(), "k") is None


def test_a_write_that_was_given_up_never_takes_effect_and_one_that_did_is_told(catalog: Catalog) -> None:
    late = upload_of("k", 5)
    assert catalog.settle(late.write_id, "k") is None
    assert catalog.settle(late.write_id, "k") is None
    newer = catalog.put(upload_of("k", 7), ANN)
    with pytest.raises(Conflict):
        catalog.put(late, ANN)
    with pytest.raises(Conflict):
        catalog.find_put(late.write_id, "k")
    found = catalog.find("k")
    assert found is not None
    assert found.facts == newer.facts

    upload = upload_of("other")
    change = catalog.put(upload, ANN)
    settled = catalog.settle(upload.write_id, "other")
    assert settled is not None
    assert (settled.id, settled.facts, settled.repeated) == (change.id, change.facts, True)
    with pytest.raises(Conflict):
        catalog.settle(upload.write_id, "k")
    assert catalog.usage() == Usage(images=2, bytes=200)


def test_a_write_that_was_given_up_is_never_pending_and_forgotten_in_time(
    catalog: Catalog, engine: Engine, clock: Clock
) -> None:
    catalog.settle(write_id(), "k")
    changes = ChangeLog(engine, clock=clock)
    assert not changes.pending(clock() + 1000.0)
    assert not changes.forget(1000.0)
    assert changes.forget(0.0) == 1


def test_a_write_and_its_being_given_up_at_once_have_one_outcome(catalog: Catalog) -> None:
    for number in range(8):
        upload = upload_of(f"k{number}")

        def write(upload: NewImage = upload) -> Change | None:
            try:
                return catalog.put(upload, ANN)
            except Conflict:
                return None

        with ThreadPoolExecutor(2) as pool:
            written = pool.submit(write)
            settled = pool.submit(catalog.settle, upload.write_id, f"k{number}")
            found = catalog.find(f"k{number}") if written.result() is None else None
        assert (written.result() is None) == (settled.result() is None)
        assert found is None


def test_an_object_older_than_an_hour_is_not_committed(catalog: Catalog) -> None:
    with pytest.raises(Unavailable):
        catalog.put(upload_of("k", begun_at=-MAX_OBJECT_AGE_SECONDS - 1), ANN)
    assert catalog.find("k") is None
    assert catalog.usage() == Usage(images=0, bytes=0)


def test_deleting_what_is_not_there_leaves_no_rows(catalog: Catalog, engine: Engine) -> None:
    with pytest.raises(NotFound):
        catalog.delete("never", write_id(), ADMIN)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(image_keys)).scalar() == 0
        assert connection.execute(select(func.count()).select_from(image_changes)).scalar() == 0


def test_keys_are_told_apart_and_sorted_by_their_bytes(catalog: Catalog) -> None:
    """Case, spaces at the end, accents, and characters that a collation folds or that lie outside the BMP."""
    keys = ["a", "a ", "a  ", "A", "Case1", "case1", "case1 ", "ä", "ae", "ss", "ß", "ı", "i", "a/b", "a-b", "\ufb01"]
    keys += ["😀", "\uffff", "%", "_", "a%", "\u200d", MAX_KEY, "a" * 255]
    shuffled = list(keys)
    random.Random(3).shuffle(shuffled)
    for seed, key in enumerate(shuffled):
        catalog.put(upload_of(key, seed), ANN)
    assert keys_of(catalog) == sorted(keys, key=str.encode)
    for key in keys:
        found = catalog.find(key)
        assert found is not None
        assert found.facts.key == key


def test_a_prefix_lists_the_keys_that_begin_with_it(catalog: Catalog) -> None:
    keys = ["a", "a/1", "a/2", "a0", "A/1", "ab", "b", "é", "é1", "ê", "%/1", "😀", "😀x", "\U0010ffff", "\U0010ffffz"]
    for key in keys:
        catalog.put(upload_of(key), ANN)
    for prefix in ["a", "a/", "A", "é", "%", "😀", "\U0010ffff", "zz", "a/1", ""]:
        expected = sorted((key for key in keys if key.startswith(prefix)), key=str.encode)
        assert keys_of(catalog, prefix=prefix) == expected, prefix


@given(st.binary(max_size=4), st.binary(max_size=6))
def test_the_end_of_a_prefix_divides_bytes_rightly(prefix: bytes, other: bytes) -> None:
    end = end_of_prefix(prefix)
    assert (other >= prefix and (end is None or other < end)) == other.startswith(prefix)


def test_newest_first_follows_changes_and_pages_over_equal_times(catalog: Catalog, clock: Clock) -> None:
    for number in range(7):
        catalog.put(upload_of(f"k{number}"), ANN)  # all at one time
    clock.now += 0.125
    catalog.put(upload_of("late"), ANN)
    clock.now += 5
    catalog.put(upload_of("k3", 1), ANN)
    expected = ["k3", "late", "k6", "k5", "k4", "k2", "k1", "k0"]
    assert keys_of(catalog, order="newest", limit=3) == expected
    assert keys_of(catalog, order="newest", limit=1) == expected


def test_neighbours_are_those_of_the_listing(catalog: Catalog, clock: Clock) -> None:
    for number, key in enumerate(("a", "b/1", "b/2", "b/3", "ä", "c")):
        clock.now += number // 2  # pairs at one time
        catalog.put(upload_of(key), ANN)
    orders: tuple[tuple[Order, str], ...] = (("key", ""), ("newest", ""), ("key", "b/"))
    for order, prefix in orders:
        listed: list[str | None] = [None, *keys_of(catalog, order=order, prefix=prefix), None]
        for ahead, here, behind in zip(listed, listed[1:], listed[2:], strict=False):
            assert here is not None
            assert catalog.neighbours(here, order=order, prefix=prefix) == Neighbours(previous=ahead, next=behind)
    with pytest.raises(NotFound):
        catalog.neighbours("none")
    with pytest.raises(InvalidRequest):
        catalog.neighbours("a", order="newest", prefix="a")


def test_bad_listings_are_refused(catalog: Catalog) -> None:
    for number in range(3):
        catalog.put(upload_of(f"k{number}"), ANN)
    cursor = catalog.list_page(limit=1).next
    bad: list[dict[str, object]] = [
        {"limit": 0},
        {"limit": 1001},
        {"cursor": "nonsense"},
        {"cursor": "WyJ4Il0"},
        {"cursor": cursor, "order": "newest"},
        {"prefix": "k", "order": "newest"},
        {"prefix": "\ud800"},
    ]
    for options in bad:
        with pytest.raises(InvalidRequest):
            catalog.list_page(**options)  # type: ignore[arg-type]


def test_usage_counts_every_kind_of_change(catalog: Catalog) -> None:
    for number in range(20):
        catalog.put(upload_of(f"k{number}", size_bytes=1000 + number), ANN)
    catalog.put(upload_of("k0", 1, size_bytes=5), ANN)
    catalog.delete("k1", write_id(), ANN)
    assert catalog.usage() == Usage(images=19, bytes=20 * 1000 + sum(range(20)) - 995 - 1001)
    catalog.delete_batch(None, 100, write_id)
    assert catalog.usage() == Usage(images=0, bytes=0)


def test_deleting_in_batches_goes_through_all_keys_once(catalog: Catalog, engine: Engine) -> None:
    for number in range(7):
        catalog.put(upload_of(f"k{number}"), ANN)
    deleted: list[Change] = []
    after: str | None = None
    for round_number in range(5):
        changes, after = catalog.delete_batch(after, 3, write_id)
        deleted += changes
        if round_number == 0:
            catalog.put(upload_of("a-new-one"), ANN)
            catalog.put(upload_of("k1", 9), ANN)
        if after is None:
            break
    assert sorted(change.key for change in deleted) == [f"k{number}" for number in range(7)]
    assert all(change.facts is None and change.id for change in deleted)
    assert keys_of(catalog) == ["a-new-one", "k1"]
    found = catalog.find("k1")
    assert found is not None
    assert found.facts.version == 3
    with engine.connect() as connection:
        versions = connection.execute(select(image_keys.c.version).where(image_keys.c.key == "k2")).scalar()
        assert versions == 2


def test_writers_of_one_key_take_turns(engine: Engine, catalog: Catalog) -> None:
    """Versions strictly increase, without a gap, and one object is current: the one of the highest version."""
    writers, each = 6, 8
    uploads = [[upload_of("same", writer * each + turn) for turn in range(each)] for writer in range(writers)]

    def write(mine: int) -> list[tuple[int, str, str | None]]:
        done: list[tuple[int, str, str | None]] = []
        for upload in uploads[mine]:
            change = catalog.put(upload, ANN)
            assert change.facts is not None
            done.append((change.facts.version, upload.object_name, change.facts.sha256))
        return done

    with ThreadPoolExecutor(writers) as pool:
        by_version = sorted(entry for done in pool.map(write, range(writers)) for entry in done)
    assert [version for version, _, _ in by_version] == list(range(1, writers * each + 1))
    found = catalog.find("same")
    assert found is not None
    assert (found.facts.version, found.object_name, found.facts.sha256) == by_version[-1]
    with engine.connect() as connection:
        old = connection.execute(select(image_changes.c.old_object).order_by(image_changes.c.version)).scalars().all()
    assert old == [None, *(name for _, name, _ in by_version[:-1])]
    assert catalog.usage() == Usage(images=1, bytes=100)


def test_a_write_repeated_at_the_same_time_takes_effect_once(catalog: Catalog) -> None:
    for number in range(5):
        upload = upload_of(f"k{number}")
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda _, upload=upload: catalog.put(upload, ANN), range(4)))
        assert len({change.id for change in done}) == 1
        assert sorted(change.repeated for change in done) == [False, True, True, True]
    assert catalog.usage() == Usage(images=5, bytes=500)


def test_counters_are_exact_among_writers_of_many_keys(catalog: Catalog) -> None:
    """Puts, replacements, deletions and batches at once: no deadlock comes through, and nothing is counted twice."""

    def run(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(15):
            key = f"k{chance.randrange(12)}"
            if chance.random() < 0.6:
                catalog.put(upload_of(key, size_bytes=chance.randrange(1, 1000)), ANN)
            elif chance.random() < 0.7:
                with contextlib.suppress(NotFound):
                    catalog.delete(key, write_id(), ANN)
            else:
                catalog.delete_batch(None, 5, write_id)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, range(6)))
    page = catalog.list_page(limit=1000)
    assert catalog.usage() == Usage(images=len(page.images), bytes=sum(image.size_bytes for image in page.images))


def test_changes_go_from_pending_to_forgotten(engine: Engine, catalog: Catalog, clock: Clock) -> None:
    log = ChangeLog(engine, clock=clock)
    first, second = upload_of("k"), upload_of("k", 1)
    ids = [catalog.put(upload, ANN).id for upload in (first, second)]
    assert [change.id for change in log.pending(clock.now)] == ids
    assert log.pending(clock.now - 1) == []
    assert log.forget(0) == 0
    log.mark_done(ids)
    assert log.pending(clock.now) == []
    assert log.forget(1) == 0
    assert catalog.find_put(first.write_id, "k") is not None
    clock.now += 1
    assert log.forget(1) == 2
    assert catalog.find_put(first.write_id, "k") is None


def fill(engine: Engine, clock: Clock) -> None:
    """So many rows that reading all of them is never the cheapest way, and statistics that say so."""
    uploads = [upload_of(f"k{number:05}") for number in range(3000)]
    present = [
        {name: getattr(upload.facts, name) for name in upload.facts.__slots__}
        | {"object_name": upload.object_name, "version": 1, "updated_at": float(number)}
        for number, upload in enumerate(uploads)
    ]
    changed = [
        {"write_id": upload.write_id, "key": upload.facts.key, "version": 1, "created": True, "state": state}
        | {"created_at": 0.0, "state_at": clock.now + 1000}
        for upload, state in zip(uploads, [PENDING, DONE, DONE] * 1000, strict=True)
    ]
    with engine.begin() as connection:
        connection.execute(insert(images), present)
        connection.execute(
            insert(image_keys), [{"key": row["key"], "version": 1, "updated_at": 1.0} for row in present]
        )
        connection.execute(insert(image_changes), changed)
    tables = " TABLE images, image_keys, image_changes" if engine.dialect.name == "mariadb" else ""
    with engine.begin() as connection:
        connection.execute(text("ANALYZE" + tables))


def test_no_statement_reads_a_whole_table(engine: Engine, catalog: Catalog, clock: Clock) -> None:
    fill(engine, clock)
    log = ChangeLog(engine, clock=clock)

    def everything() -> None:
        catalog.put(upload_of("k00001", 2), ADMIN)
        catalog.delete("k00002", write_id(), ADMIN)
        catalog.delete_batch("k00100", 5, write_id)
        for order in ("key", "newest"):
            cursor = catalog.list_page(order=order, limit=5).next
            catalog.list_page(order=order, limit=5, cursor=cursor)
            catalog.neighbours("k00100", order=order)
        catalog.list_page(prefix="k000", limit=5)
        ids = [change.id for change in log.pending(clock.now)]
        log.mark_done(ids)
        log.forget(0)

    plans = [plan for plan in explained(engine, everything) if "image_usage" not in plan]
    assert len(plans) > 15
    marks = {"sqlite": "'SCAN ", "postgresql": "Seq Scan", "mariadb": "'type': 'ALL'"}
    whole = [plan for plan in plans if marks[engine.dialect.name] in plan and "USING" not in plan]
    assert not whole, "\n".join(whole)


def test_visibility_is_what_was_asked_for_else_what_it_was_else_the_default(catalog: Catalog) -> None:
    def put(asked: Visibility | None = None, kept: RestoredFacts | None = None) -> str:
        new = upload_of("k", actor=ADMIN)
        by_setting = replace(new.facts, visibility="members")
        change = catalog.put(replace(new, facts=by_setting, visibility=asked, kept=kept), ADMIN)
        found = catalog.find("k")
        assert found is not None
        assert found.facts == change.facts
        return found.facts.visibility

    assert put() == "members"
    assert put("private") == "private"
    assert put() == "private"
    assert put(kept=KEPT) == "private"
    assert put(kept=replace(KEPT, visibility="public")) == "public"
    assert put("members", replace(KEPT, visibility="public")) == "members"
    put("private")
    catalog.delete("k", write_id(), ADMIN)
    assert put() == "members", "a new image, not the one that was deleted"
