"""Renames and visibility in the catalog, on every kind of database, concurrency included."""

from __future__ import annotations

import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, func, select
from testing.clock import Clock
from testing.query_plans import explained
from testing.storage_parts import ADMIN, ANN, BOB, NOBODY, upload_of, write_id

from elastic_images.core.errors import (
    Conflict,
    ElasticImagesError,
    Forbidden,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
)
from elastic_images.core.image_facts import Actor, ImageFacts, Neighbours, Usage
from elastic_images.core.visibility import VISIBILITIES, Visibility, may_see
from elastic_images.storage.catalog.catalog import Catalog
from elastic_images.storage.catalog.change_log import ChangeLog
from elastic_images.storage.catalog.tables import image_changes, image_keys, trash
from elastic_images.storage.catalog.unexamined import Unexamined
from elastic_images.storage.conditions import Conditions

EVERYBODY = (NOBODY, BOB, ANN, ADMIN)


@pytest.fixture
def engine(catalog_engine: Engine) -> Engine:
    return catalog_engine


@pytest.fixture
def catalog(engine: Engine, clock: Clock) -> Catalog:
    return Catalog(engine, clock=clock, monotonic=Clock(0.0))


def put(catalog: Catalog, key: str, visibility: Visibility = "public", actor: Actor = ANN, seed: int = 0) -> ImageFacts:
    facts = catalog.put(replace(upload_of(key, seed, actor=actor), visibility=visibility), actor).facts
    assert facts is not None
    return facts


def count(engine: Engine, table: object) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def test_a_rename_keeps_everything_but_key_version_and_time(catalog: Catalog, engine: Engine, clock: Clock) -> None:
    put(catalog, "a", seed=1)
    before = put(catalog, "a", "members")
    for seed in range(5):
        put(catalog, "b", seed=seed)
    catalog.delete("b", write_id(), ANN)
    changes = len(ChangeLog(engine, clock=clock).pending(clock.now + 100))
    old = catalog.find("a")
    assert old is not None
    assert count(engine, trash) == 6
    clock.now -= 1000
    to, gone = catalog.move("a", "b", write_id(), ANN)
    assert to.facts is not None
    assert (to.key, gone.key, gone.facts, to.created, gone.created) == ("b", "a", None, True, False)
    assert replace(to.facts, key="a", version=before.version, updated_at=before.updated_at) == before
    assert to.facts.version > 6 > before.version, "above both: b was put five times and deleted"
    found = catalog.find("b")
    assert found is not None
    assert (found.facts, found.object_name, found.owner_id) == (to.facts, old.object_name, 1)
    assert catalog.find("a") is None
    assert catalog.usage() == Usage(images=1, bytes=100)
    assert count(engine, trash) == 6, "no object is out of use"
    assert len(ChangeLog(engine, clock=clock).pending(clock.now + 2000)) == changes + 2
    again = put(catalog, "a")
    assert again.version > before.version + 1
    assert again.updated_at > before.updated_at + 1
    with engine.connect() as connection:
        rows = connection.execute(select(image_keys.c.version, image_keys.c.updated_at)).all()
    assert sorted(rows) == sorted((facts.version, facts.updated_at) for facts in (to.facts, again))


def test_a_key_that_took_a_long_past_gives_it_on(catalog: Catalog) -> None:
    """Whichever of the two keys has the higher version, the new one's goes above it."""
    for seed in range(4):
        put(catalog, "a", seed=seed)
    to, gone = catalog.move("a", "b", write_id(), ANN)
    assert to.facts is not None
    assert to.facts.version == 5
    back, _ = catalog.move("b", "a", write_id(), ANN)
    assert back.facts is not None
    assert back.facts.version == 6
    assert gone.id > to.id


def test_visibility_changes_nothing_but_itself_version_and_time(catalog: Catalog, engine: Engine) -> None:
    before = put(catalog, "k")
    for number, visibility in enumerate((*VISIBILITIES, "private"), 1):
        (change,) = catalog.set_visibility("k", visibility, write_id(), ANN)
        assert change.facts == replace(
            before, visibility=visibility, version=1 + number, updated_at=before.updated_at + number
        )
        assert (change.created, change.done) == (False, False), "even where it was so: another change may be pending"
        found = catalog.find("k")
        assert found is not None
        assert found.facts == change.facts
    assert count(engine, trash) == 0
    to, _ = catalog.move("k", "l", write_id(), ANN, visibility="members")
    assert to.facts is not None
    assert to.facts.visibility == "members"


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_who_may_not_see_an_image_finds_none_and_who_may_not_change_it_is_told(
    catalog: Catalog, engine: Engine, visibility: Visibility
) -> None:
    put(catalog, "k", visibility)
    rows = count(engine, image_keys)
    stale = Conditions.parse('"other"', None)
    for actor in (NOBODY, BOB):
        refused = Forbidden if may_see(actor, visibility, 1) else NotFound
        for conditions in (Conditions(), stale):  # which would tell that there is one
            with pytest.raises(refused):
                catalog.move("k", "new", write_id(), actor, conditions)
            with pytest.raises(refused):
                catalog.set_visibility("k", "public", write_id(), actor, conditions)
            with pytest.raises(refused):
                catalog.delete("k", write_id(), actor, conditions)
            with pytest.raises(Forbidden):
                catalog.put(upload_of("k"), actor, conditions)
        with contextlib.nullcontext() if refused is Forbidden else pytest.raises(NotFound):
            catalog.neighbours("k", actor=actor)
    assert count(engine, image_keys) == rows
    catalog.move("k", "new", write_id(), ADMIN)
    catalog.set_visibility("new", "private", write_id(), ANN)
    catalog.delete("new", write_id(), ANN)


def test_a_visitor_may_not_replace_what_visitors_stored_for_others_to_see(catalog: Catalog) -> None:
    """Nor learn anything of it but that the key is taken."""
    for visibility in ("members", "private"):
        facts = put(catalog, visibility, visibility, NOBODY)
        for conditions in (Conditions(), Conditions.parse(None, "*"), Conditions.parse(facts.etag, None)):
            with pytest.raises(Forbidden):
                catalog.put(upload_of(visibility, 1, actor=NOBODY), NOBODY, conditions)
            with pytest.raises(NotFound):
                catalog.delete(visibility, write_id(), NOBODY, conditions)
        catalog.put(upload_of(visibility, 1, actor=ADMIN), ADMIN)
    put(catalog, "public", "public", NOBODY)
    put(catalog, "public", "public", NOBODY, seed=1)


def test_refused_renames_change_nothing(catalog: Catalog, engine: Engine) -> None:
    put(catalog, "a")
    put(catalog, "hidden", "private", BOB)
    state = (catalog.find("a"), catalog.find("hidden"), count(engine, image_keys), count(engine, image_changes))
    refusals: list[tuple[str, str, Conditions, type[ElasticImagesError]]] = [
        ("a", "a", Conditions(), InvalidRequest),
        ("a", "hidden", Conditions(), Conflict),
        ("none", "b", Conditions(), NotFound),
        ("none", "a", Conditions(), NotFound),
        ("a", "b", Conditions.parse('"other"', None), PreconditionFailed),
        ("a", "b", Conditions.parse(None, "*"), PreconditionFailed),
        ("none", "b", Conditions.parse(None, "*"), NotFound),
    ]
    for key, to, conditions, error in refusals:
        with pytest.raises(error):
            catalog.move(key, to, write_id(), ANN, conditions)
    for error, key, conditions in ((NotFound, "none", Conditions()), (PreconditionFailed, "a", refusals[4][2])):
        with pytest.raises(error):
            catalog.set_visibility(key, "private", write_id(), ANN, conditions)
    found = (catalog.find("a"), catalog.find("hidden"), count(engine, image_keys), count(engine, image_changes))
    assert found == state
    etag = state[0].facts.etag if state[0] else ""
    assert catalog.move("a", "b", write_id(), ANN, Conditions.parse(etag, None))


def test_a_repeated_rename_takes_effect_once(catalog: Catalog, engine: Engine, clock: Clock) -> None:
    put(catalog, "a")
    one, other = write_id(), write_id()
    first = catalog.move("a", "b", one, ANN)
    put(catalog, "a", seed=7)
    assert catalog.move("a", "b", one, ANN) == tuple(replace(change, repeated=True) for change in first)
    ChangeLog(engine, clock=clock).mark_done([first[0].id])
    assert [change.done for change in catalog.move("a", "b", one, ANN)] == [True, False]
    shown = catalog.set_visibility("a", "private", other, ANN)
    assert catalog.set_visibility("a", "private", other, ANN) == (replace(shown[0], repeated=True),)
    for write in (one, other):
        for misuse in (
            lambda: catalog.move("b", "c", write, ANN),  # noqa: B023 - called at once
            lambda: catalog.set_visibility("c", "public", write, ANN),  # noqa: B023
            lambda: catalog.delete("b", write, ANN),  # noqa: B023
            lambda: catalog.put(replace(upload_of("c"), write_id=write), ANN),  # noqa: B023
        ):
            with pytest.raises(Conflict):
                misuse()


def test_an_image_that_waits_for_examination_still_does_under_its_new_key(catalog: Catalog, engine: Engine) -> None:
    put(catalog, "a")  # with no details
    unexamined = Unexamined(engine)
    catalog.move("a", "b", write_id(), ANN)
    assert unexamined.page(None, 9) == ["b"]
    (change,) = catalog.set_visibility("b", "members", write_id(), ANN)
    assert change.facts is not None
    unexamined.examined("b", change.facts.version - 1, {"orientation": 1})
    assert unexamined.page(None, 9) == ["b"], "what was found out of its former version was not written"
    unexamined.examined("b", change.facts.version, {"orientation": 1})
    assert unexamined.page(None, 9) == []


def test_lists_and_neighbours_show_what_an_actor_may_see_in_full_pages(catalog: Catalog) -> None:
    owners = itertools.cycle((ANN, BOB, NOBODY))
    for number in range(30):
        put(catalog, f"k{number:02}", VISIBILITIES[number % 7 % 3], next(owners))
    images = {image.key: image for image in catalog.list_page(limit=100).images}
    owner_ids = {"ann": 1, "bob": 2, None: None}
    for actor, order in itertools.product(EVERYBODY, ("key", "newest")):
        keys = sorted(key for key, image in images.items() if may_see(actor, image.visibility, owner_ids[image.owner]))
        keys = keys[:: 1 if order == "key" else -1]
        found, cursor = [], None
        while True:
            page = catalog.list_page(order=order, limit=4, cursor=cursor, actor=actor)  # type: ignore[arg-type]
            found.append([image.key for image in page.images])
            if (cursor := page.next) is None:
                break
        assert [*itertools.chain(*found)] == keys
        assert {len(page) for page in found[:-1]} == {4}
        for before, key, after in zip([None, *keys], keys, [*keys[1:], None], strict=False):
            told = catalog.neighbours(key, order=order, actor=actor)  # type: ignore[arg-type]
            assert told == Neighbours(previous=before, next=after)
        for key in images.keys() - set(keys):
            with pytest.raises(NotFound):
                catalog.neighbours(key, actor=actor)
        for visibility in VISIBILITIES:
            chosen = catalog.list_page(limit=100, actor=actor, visibility=visibility).images
            assert [image.key for image in chosen] == [k for k in sorted(keys) if images[k].visibility == visibility]


def test_digests_are_looked_for_among_ones_own_images(catalog: Catalog) -> None:
    def same(key: str, actor: Actor, visibility: Visibility = "public", owner: str | None = "") -> None:
        new = upload_of(key, actor=actor)
        facts = replace(new.facts, sha256="ab" * 32)
        if owner:
            facts = replace(facts, owner=owner)
        catalog.put(replace(new, facts=facts, visibility=visibility), actor)

    same("d", ANN, "private")
    same("c", ANN)
    same("b", BOB)
    same("a", NOBODY, "private")
    same("e", NOBODY)
    same("aa", NOBODY, owner="zoë")  # elsewhere
    other = put(catalog, "z").sha256
    asked = ["ab" * 32, other, "cd" * 32]
    assert catalog.have(asked, ANN) == {"ab" * 32: "c", other: "z"}
    assert catalog.have(asked, BOB) == {"ab" * 32: "b"}
    assert catalog.have(asked, NOBODY) == {"ab" * 32: "e"}
    assert catalog.have(asked, ADMIN) == {"ab" * 32: "a", other: "z"}
    assert catalog.have([], ANN) == {}


def test_renames_to_and_fro_at_once_neither_hang_nor_lose_an_image(engine: Engine, catalog: Catalog) -> None:
    """a to b and b to a, puts and deletions of both: locks are taken in one order."""
    keys = ("a", "b", "c")
    put(catalog, "a")
    put(catalog, "c")

    def work(number: int) -> int:
        moved = 0
        for turn in range(12):
            key, to = keys[(number + turn) % 3], keys[(number + turn + 1 + turn % 2) % 3]
            with contextlib.suppress(NotFound, Conflict):
                catalog.move(key, to, write_id(), ANN)
                moved += 1
            if number == 0 and turn % 4 == 0:
                put(catalog, key, seed=turn)
        return moved

    with ThreadPoolExecutor(6) as pool:
        moved = sum(pool.map(work, range(6)))
    assert moved > 0
    present = [image for key in keys if (image := catalog.find(key))]
    assert 2 <= len(present) <= 3
    assert catalog.usage() == Usage(images=len(present), bytes=100 * len(present))
    assert len({image.object_name for image in present}) == len(present)
    with engine.connect() as connection:
        versions = dict(connection.execute(select(image_keys.c.key, image_keys.c.version)).all())
        changes = connection.execute(select(image_changes.c.key, image_changes.c.version)).all()
    assert len(set(changes)) == len(changes), "no version of a key is given twice"
    for image in present:
        assert image.facts.version == versions[image.facts.key]


def test_a_rename_repeated_at_the_same_time_takes_effect_once(catalog: Catalog) -> None:
    for number in range(5):
        put(catalog, f"a{number}")
        one, other = write_id(), write_id()

        def move(_: int, number: int = number, one: str = one) -> list[int]:
            return [change.id for change in catalog.move(f"a{number}", f"b{number}", one, ANN)]

        with ThreadPoolExecutor(4) as pool:
            assert len(set(map(tuple, pool.map(move, range(4))))) == 1
        with ThreadPoolExecutor(4) as pool:
            gone = list(
                pool.map(lambda _, number=number, one=other: catalog.delete(f"b{number}", one, ANN).id, range(4))
            )
        assert len(set(gone)) == 1


def test_no_statement_reads_a_whole_table(engine: Engine, catalog: Catalog) -> None:
    for number in range(300):
        new = upload_of(f"k{number:05}")
        facts = replace(new.facts, orientation=1)
        catalog.put(replace(new, facts=facts, visibility=VISIBILITIES[number % 3]), ANN)

    def everything() -> None:
        catalog.move("k00001", "new", write_id(), ANN)
        catalog.set_visibility("new", "private", write_id(), ANN)
        catalog.have(["ab" * 32, "cd" * 32], ANN)
        for order in ("key", "newest"):
            catalog.list_page(order=order, limit=5, actor=BOB)
            catalog.neighbours("k00100", order=order, actor=BOB)

    with engine.begin() as connection:
        on = " TABLE images, image_keys, image_changes" if engine.dialect.name == "mariadb" else ""
        connection.exec_driver_sql("ANALYZE" + on)
    plans = [plan for plan in explained(engine, everything) if "image_usage" not in plan]
    assert len(plans) > 10
    marks = {"sqlite": "'SCAN images", "postgresql": "Seq Scan", "mariadb": "'type': 'ALL'"}
    whole = [
        plan for plan in plans if marks[engine.dialect.name] in plan and not ("USING" in plan or "<derived" in plan)
    ]
    assert not whole, "\n".join(whole)
