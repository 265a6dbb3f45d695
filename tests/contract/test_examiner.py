"""Images from older versions get the facts that new uploads have, on every kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update
from testing.image_samples import encoded, exif
from testing.storage_parts import ANN, CATALOG_TABLES, Parts

from elastic_images.core.errors import Unavailable
from elastic_images.core.image_facts import DETAILS, ImageFacts
from elastic_images.database.base import metadata
from elastic_images.database.engine import open_engine
from elastic_images.storage.catalog.tables import images, unexamined
from elastic_images.storage.catalog.unexamined import Unexamined, note_unexamined
from elastic_images.storage.upkeep.examiner import Examiner
from elastic_images.storage.upkeep.leases import UpkeepLeases

TURNED = encoded("JPEG", exif=exif(orientation=6))
FORGOTTEN = {**dict.fromkeys(DETAILS), "width": 37, "height": 29}
"""What an older version knew of that image."""


@pytest.fixture
def parts(database_url: str, tmp_path: Path) -> Iterator[Parts]:
    engine = open_engine(database_url)
    metadata.create_all(engine, tables=CATALOG_TABLES)
    yield Parts(engine, tmp_path)
    engine.dispose()


@pytest.fixture
def examiner(parts: Parts) -> Examiner:
    return Examiner(Unexamined(parts.engine), UpkeepLeases(parts.engine), parts.reader.read, parts.imaging)


def make_old(engine: Engine, *keys: str) -> None:
    with engine.begin() as connection:
        connection.execute(update(images).where(images.c.key.in_(keys)).values(**FORGOTTEN))
        for key in keys:
            note_unexamined(connection, key)


def left(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(unexamined.c.key)).scalars())


def facts_of(parts: Parts, key: str) -> ImageFacts:
    found = parts.catalog.find(key)
    assert found is not None
    return found.facts


def test_they_get_what_uploads_have(parts: Parts, examiner: Examiner) -> None:
    before = {key: parts.put(key, TURNED)[0] for key in ("a", "b", "ü")}
    assert before["a"].is_examined
    make_old(parts.engine, "a", "ü")
    assert not facts_of(parts, "a").is_examined
    assert examiner.figures() == {"images_unexamined": 2}
    examiner.work()
    assert {key: facts_of(parts, key) for key in before} == before
    assert left(parts.engine) == []
    assert examiner.figures() == {"images_unexamined": 0}


def test_what_changed_meanwhile_stays_as_it_is(parts: Parts, examiner: Examiner) -> None:
    parts.put("gone", TURNED)
    parts.put("replaced", TURNED)
    make_old(parts.engine, "gone", "replaced")
    parts.delete("gone")
    newer, _ = parts.put("replaced", encoded("PNG"))
    examiner.work()
    assert facts_of(parts, "replaced") == newer
    assert left(parts.engine) == []


def test_an_old_image_from_the_trash_is_examined(parts: Parts, examiner: Examiner) -> None:
    before, _ = parts.put("a", TURNED)
    make_old(parts.engine, "a")
    parts.delete("a")
    examiner.work()
    (entry,) = parts.trash.page(ANN)["entries"]
    restored, _ = parts.restore(entry["id"])
    assert not restored.is_examined
    examiner.work()
    assert facts_of(parts, "a").thumbhash == before.thumbhash
    assert (facts_of(parts, "a").width, facts_of(parts, "a").height) == (29, 37)


def test_damaged_ones_wait_and_others_go_on(parts: Parts, examiner: Examiner) -> None:
    parts.put("bad", TURNED)
    parts.put("good", TURNED)
    make_old(parts.engine, "bad", "good")
    path, whole = parts.path_of("bad"), parts.path_of("bad").read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    examiner.work()
    assert facts_of(parts, "good").is_examined
    assert left(parts.engine) == ["bad"]
    path.write_bytes(whole)
    parts.bad_objects.sweep()
    examiner.work()
    assert left(parts.engine) == []


def test_it_goes_on_after_an_outage(parts: Parts, examiner: Examiner) -> None:
    parts.put("a", TURNED)
    make_old(parts.engine, "a")
    parts.imaging.failure = Unavailable("no workers")
    with pytest.raises(Unavailable):
        examiner.work()
    parts.imaging.failure = None
    examiner.work()
    assert facts_of(parts, "a").is_examined
