"""Put, replace and delete: what is answered is true, and what is refused leaves nothing."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from testing.storage_parts import ADMIN, ANN, BOB, Parts, large_picture, picture, with_digest, write_id

from elastic_images.core.errors import (
    BrokenImage,
    ElasticImagesError,
    EmptyBody,
    Forbidden,
    IncompleteBody,
    NotAnImage,
    NotFound,
    OutOfSpace,
    PreconditionFailed,
    TooLarge,
    Unavailable,
)
from elastic_images.core.image_facts import Usage
from elastic_images.storage.acknowledger import TAKE_UP_SECONDS
from elastic_images.storage.catalog.catalog import MAX_OBJECT_AGE_SECONDS
from elastic_images.storage.catalog.trash import CLAIM_SECONDS, GRACE_SECONDS
from elastic_images.storage.conditions import Conditions
from elastic_images.storage.upkeep.collector import REMEMBER_SECONDS


def collect(parts: Parts) -> None:
    parts.acknowledger.mark_done()
    parts.clock.now += GRACE_SECONDS
    parts.collector.collect()


def test_what_is_put_is_read_back_byte_for_byte(parts: Parts) -> None:
    body = picture("JPEG", 3)
    facts, created = parts.put("holidays/ä.jpg", body)
    assert created
    assert parts.bytes_of("holidays/ä.jpg") == body
    assert (facts.size_bytes, facts.content_type, facts.format) == (len(body), "image/jpeg", "JPEG")
    assert (facts.width, facts.height, facts.frames, facts.version, facts.owner) == (24, 17, 1, 1, "ann")
    assert parts.reader.facts("holidays/ä.jpg") == facts
    assert parts.caches.told == [("holidays/ä.jpg",)]


def test_caches_are_told_after_the_commit_and_before_the_answer(parts: Parts) -> None:
    seen: list[int] = []
    parts.caches.on_invalidate = lambda: seen.append(parts.reader.facts("k").version)
    assert parts.put("k", picture())[0].version == 1
    assert parts.put("k", picture(seed=1))[0].version == 2
    assert seen == [1, 2]

    def gone() -> None:
        with pytest.raises(NotFound):
            parts.reader.facts("k")
        seen.append(0)

    parts.caches.on_invalidate = gone
    parts.delete("k")
    assert seen == [1, 2, 0]


def test_replacing_drops_the_old_object_after_the_grace_period(parts: Parts) -> None:
    parts.put("k", picture(seed=1))
    (old,) = parts.objects()
    parts.put("k", picture(seed=2))
    assert len(parts.objects()) == 2
    parts.acknowledger.mark_done()
    parts.clock.now += GRACE_SECONDS - 1
    parts.collector.collect()
    assert old in parts.objects(), "a reader may be about to open it"
    collect(parts)
    assert old not in parts.objects()
    assert parts.bytes_of("k") == picture(seed=2)


def test_an_old_object_stays_while_its_change_is_pending(parts: Parts) -> None:
    parts.put("k", picture(seed=1))
    parts.caches.reachable = False
    with pytest.raises(Unavailable) as caught:
        parts.put("k", picture(seed=2))
    assert caught.value.retry_after_seconds
    collect(parts)
    assert len(parts.objects()) == 2
    assert parts.bytes_of("k") == picture(seed=2), "the write is safe"


def test_a_pending_change_is_taken_up_after_five_seconds_and_at_a_start(parts: Parts) -> None:
    parts.caches.reachable = False
    for key in ("a", "b"):
        with pytest.raises(Unavailable):
            parts.put(key, picture())
    parts.caches.reachable = True
    assert parts.acknowledger.take_up() == 0
    parts.clock.now += TAKE_UP_SECONDS
    assert parts.acknowledger.take_up() == 2
    assert parts.caches.told == [("a", "b")]
    assert parts.acknowledger.take_up(0) == 0
    parts.caches.reachable = False
    with pytest.raises(Unavailable):
        parts.delete("a")
    with pytest.raises(Unavailable):
        parts.acknowledger.take_up(0)
    parts.caches.reachable = True
    assert parts.acknowledger.take_up(0) == 1


def test_taking_up_leaves_what_is_written_meanwhile(parts: Parts) -> None:
    """Under steady writing the changes that are pending never run out; those of the start do."""
    parts.caches.reachable = False
    with pytest.raises(Unavailable):
        parts.put("k", picture())
    parts.caches.reachable = True
    rounds: list[int] = []

    def another() -> None:
        rounds.append(1)
        assert len(rounds) < 5
        parts.clock.now += 1
        parts.caches.on_invalidate = lambda: None
        parts.caches.reachable = False
        with pytest.raises(Unavailable):
            parts.put(f"k{len(rounds)}", picture())
        parts.caches.reachable = True
        parts.caches.on_invalidate = another

    parts.caches.on_invalidate = another
    assert parts.acknowledger.take_up(0) == 1


def test_a_write_that_was_not_acknowledged_is_finished_by_its_repetition(parts: Parts) -> None:
    same = write_id()
    parts.caches.reachable = False
    with pytest.raises(Unavailable):
        parts.put("k", picture(), write_id=same)
    with pytest.raises(Unavailable):
        parts.put("k", picture(), write_id=same)
    parts.caches.reachable = True
    facts, created = parts.put("k", picture(), write_id=same, conditions=Conditions.parse(None, "*"))
    assert (facts.version, created) == (1, True)
    assert parts.caches.told == [("k",)]
    assert len(parts.objects()) == 1


def test_a_repeated_write_gives_the_first_answer_and_leaves_no_object(parts: Parts) -> None:
    same = write_id()
    first = parts.put("k", picture(), write_id=same)
    parts.put("k", picture(seed=1))
    assert parts.put("k", picture(), write_id=same) == first
    assert parts.bytes_of("k") == picture(seed=1)
    assert len(parts.objects()) == 2
    gone = write_id()
    parts.delete("k", write_id=gone)
    parts.delete("k", write_id=gone)
    with pytest.raises(NotFound):
        parts.delete("k")


def test_the_same_write_at_the_same_time_leaves_one_object(parts: Parts) -> None:
    same = write_id()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: parts.put("k", picture(), write_id=same), range(4)))
    assert len(set(answers)) == 1
    assert len(parts.objects()) == 1


def test_write_ids_are_forgotten_after_a_day(parts: Parts) -> None:
    same = write_id()
    parts.put("k", picture(), write_id=same)
    collect(parts)
    assert parts.catalog.find_put(same, "k") is not None
    parts.clock.now += REMEMBER_SECONDS
    collect(parts)
    assert parts.catalog.find_put(same, "k") is None


BAD_BODIES: list[tuple[type[ElasticImagesError], Callable[[], tuple[io.BytesIO, int]]]] = [
    (EmptyBody, lambda: (with_digest(b""), 0)),
    (NotAnImage, lambda: (with_digest(b"no image"), 8)),
    (BrokenImage, lambda: (with_digest(picture()[:-40]), len(picture()) - 40)),
    (IncompleteBody, lambda: (io.BytesIO(picture()[:20]), len(picture()))),
    (IncompleteBody, lambda: (io.BytesIO(picture()), len(picture()))),
    (IncompleteBody, lambda: (io.BytesIO(picture() + b"0" * 64), len(picture()))),
    (IncompleteBody, lambda: (io.BytesIO(with_digest(picture()).getvalue()[:-1]), len(picture()))),
    (TooLarge, lambda: (with_digest(picture()), 1_000_001)),
]


@pytest.mark.parametrize(("error", "body"), BAD_BODIES)
@pytest.mark.parametrize("replacing", [False, True])
def test_a_bad_body_changes_nothing_and_leaves_nothing(
    parts: Parts, error: type[ElasticImagesError], body: Callable[[], tuple[io.BytesIO, int]], replacing: bool
) -> None:
    if replacing:
        parts.put("k", picture(seed=9))
    before = (parts.objects(), parts.catalog.find("k"), parts.catalog.usage(), list(parts.caches.told))
    source, length = body()
    with pytest.raises(error):
        parts.writes.put("k", source, length, write_id=write_id(), actor=ANN)
    assert (parts.objects(), parts.catalog.find("k"), parts.catalog.usage(), parts.caches.told) == before
    assert list((parts.folder / "spool").glob("*")) == []


def test_a_source_that_breaks_off_is_an_incomplete_body(parts: Parts) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 20:
                raise ConnectionResetError
            return super().read(min(size or 0, 30))

    with pytest.raises(IncompleteBody):
        parts.writes.put("k", Broken(picture()), len(picture()), write_id=write_id(), actor=ANN)
    assert parts.objects() == []


def test_others_images_are_refused_before_their_bytes_are_read(parts: Parts) -> None:
    parts.put("k", picture())
    source = with_digest(picture(seed=1))
    with pytest.raises(Forbidden):
        parts.writes.put("k", source, len(picture(seed=1)), write_id=write_id(), actor=BOB)
    with pytest.raises(PreconditionFailed):
        parts.writes.put(
            "k", source, len(picture(seed=1)), write_id=write_id(), actor=ANN, conditions=Conditions.parse(None, "*")
        )
    assert source.tell() == 0
    with pytest.raises(Forbidden):
        parts.delete("k", BOB)
    assert parts.bytes_of("k") == picture()


def test_a_loser_of_a_race_leaves_no_object(parts: Parts) -> None:
    """The condition held when the upload began and does not at its commit."""

    class Overtaken(io.BytesIO):
        overtaken = False

        def read(self, size: int | None = -1, /) -> bytes:
            if not self.overtaken:
                self.overtaken = True
                parts.put("k", picture(seed=7), BOB)
            return super().read(size)

    body = picture(seed=1)
    source = Overtaken(with_digest(body).getvalue())
    with pytest.raises(Forbidden):
        parts.writes.put("k", source, len(body), write_id=write_id(), actor=ANN)
    assert len(parts.objects()) == 1
    assert parts.bytes_of("k") == picture(seed=7)


def test_an_upload_of_more_than_an_hour_is_not_committed(engine: Engine, tmp_path: Path) -> None:
    def slow(name: str) -> None:
        if name == "object-written":
            parts.monotonic.now += MAX_OBJECT_AGE_SECONDS + 1

    parts = Parts(engine, tmp_path, crash_point=slow)
    with pytest.raises(Unavailable, match="more than an hour"):
        parts.put("k", picture())
    assert parts.objects() == []
    with pytest.raises(NotFound):
        parts.reader.facts("k")


def test_an_object_stays_where_the_commit_may_have_happened(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is lost at COMMIT does not say whether it was one."""

    def lost(*_: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("Lost connection to server during query"))

    with monkeypatch.context() as patch:
        patch.setattr(parts.catalog, "put", lost)
        with pytest.raises(OperationalError):
            parts.put("k", picture())
    assert len(parts.objects()) == 1


def test_a_full_disk_is_named_and_leaves_nothing(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(os, "fsync", full)
        with pytest.raises(OutOfSpace, match="object store"):
            parts.put("k", picture())
    with monkeypatch.context() as patch:

        def no_file(**_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(tempfile, "TemporaryFile", no_file)
        with pytest.raises(OutOfSpace, match="left for uploads"):
            parts.put("k", large_picture())
    assert parts.objects() == []
    with pytest.raises(NotFound):
        parts.reader.facts("k")
    parts.put("k", picture())


def test_a_full_database_is_named_and_leaves_nothing(parts: Parts, engine: Engine) -> None:
    """SQLite may take no page more than it has."""
    parts.put("k", picture())

    engine.dispose()
    with engine.connect() as connection:  # the one connection that the pool will hand out
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for seed in range(2000):
            parts.put("x" * 200 + str(seed), picture())

    with pytest.raises(OutOfSpace, match="database"):
        fill()
    stored = parts.catalog.usage()["images"]
    assert len(parts.objects()) == stored
    assert parts.catalog.list_page(limit=1000).images[0].key == "k"


def test_a_spool_that_cannot_be_written_is_named(parts: Parts) -> None:
    (parts.folder / "spool").write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be received"):
        parts.put("k", large_picture())


def test_all_images_are_deleted_in_batches(parts: Parts) -> None:
    for number in range(7):
        parts.put(f"k{number}", picture())
    parts.caches.told.clear()
    with pytest.raises(Forbidden):
        parts.writes.delete_all(ANN)
    assert list(parts.writes.delete_all(ADMIN, batch=3)) == [3, 6, 7]
    assert parts.caches.told == [("k0", "k1", "k2"), ("k3", "k4", "k5"), ("k6",)]
    assert parts.catalog.usage() == Usage(images=0, bytes=0)
    assert list(parts.writes.delete_all(ADMIN)) == []
    collect(parts)
    assert parts.objects() == []
    assert parts.put("k1", picture())[0].version == 3


def test_deleting_all_stops_where_a_cache_does_not_answer(parts: Parts) -> None:
    for number in range(4):
        parts.put(f"k{number}", picture())
    parts.caches.reachable = False
    with pytest.raises(Unavailable):
        list(parts.writes.delete_all(ADMIN, batch=2))
    assert parts.catalog.usage()["images"] == 2
    parts.caches.reachable = True
    assert parts.acknowledger.take_up(0) == 2


def test_uploads_while_all_is_deleted_survive_or_not_but_work(parts: Parts) -> None:
    for number in range(30):
        parts.put(f"k{number:02}", picture())

    def upload(number: int) -> None:
        parts.put(f"k{number % 30:02}x", picture(seed=number))

    with ThreadPoolExecutor(4) as pool:
        uploads = [pool.submit(upload, number) for number in range(60)]
        list(parts.writes.delete_all(ADMIN, batch=4))
        for done in uploads:
            done.result()
    page = parts.catalog.list_page(limit=1000).images
    assert parts.catalog.usage() == Usage(images=len(page), bytes=sum(image.size_bytes for image in page))
    for image in page:
        assert image.key.endswith("x")
        assert len(parts.bytes_of(image.key)) == image.size_bytes


def test_writers_of_one_key_leave_one_whole_image(parts: Parts) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda seed: parts.put("k", picture(seed=seed)), range(24)))
    versions = sorted(facts.version for facts, _ in answers)
    assert versions == list(range(1, 25))
    last = max((facts for facts, _ in answers), key=lambda facts: facts.version)
    assert parts.reader.facts("k") == last
    assert sum(created for _, created in answers) == 1
    collect(parts)
    assert len(parts.objects()) == 1
    assert parts.bytes_of("k") in {picture(seed=seed) for seed in range(24)}


def test_a_reader_overtaken_by_a_writer_reads_the_row_again(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.put("k", picture(seed=1))
    real = parts.store.open

    def overtaken(name: str) -> object:
        monkeypatch.setattr(parts.store, "open", real)
        parts.put("k", picture(seed=2))
        parts.store.delete(name)
        return real(name)

    monkeypatch.setattr(parts.store, "open", overtaken)
    assert parts.bytes_of("k") == picture(seed=2)


def test_the_collector_removes_what_was_left_half_put_a_day_ago(parts: Parts) -> None:
    parts.store.check()
    partial = parts.folder / "objects" / "partial" / ("a" * 32)
    partial.write_bytes(b"half")
    parts.clock.now = partial.stat().st_mtime + 86_000
    parts.collector.collect()
    assert partial.exists()
    parts.clock.now += 1000
    parts.collector.collect()
    assert not partial.exists()


def test_an_object_that_cannot_be_removed_holds_up_no_other(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    for key in ("a", "b", "c"):
        parts.put(key, picture(seed=ord(key)))
    stubborn = parts.catalog.find("b")
    assert stubborn is not None
    path = parts.folder / "objects" / stubborn.object_name[:2] / stubborn.object_name
    path.unlink()
    (path / "inside").mkdir(parents=True)
    for key in ("a", "b", "c"):
        parts.delete(key)
    collect(parts)
    assert parts.objects() == [stubborn.object_name]
    assert parts.trash.backlog()[0] == 1
    assert f"object {stubborn.object_name} cannot be removed" in caplog.text
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        parts.clock.now += minutes * 60 - 1
        assert parts.trash.claim("me", 10) == []
        parts.clock.now += 1
        parts.collector.collect()
    assert parts.collector.statistics() == {"collector_backlog": 1, "collector_oldest": 183 * 60}
    (path / "inside").rmdir()
    path.rmdir()
    parts.clock.now += 3600
    parts.collector.collect()
    assert parts.collector.statistics() == {"collector_backlog": 0, "collector_oldest": 0.0}
    assert caplog.text.count("cannot be removed") == 1


def test_a_store_that_is_away_is_no_fault_of_its_objects(parts: Parts) -> None:
    parts.put("k", picture())
    parts.delete("k")
    objects, aside = parts.folder / "objects", parts.folder / "aside"
    objects.rename(aside)
    objects.write_bytes(b"no folder")
    with pytest.raises(Unavailable):
        collect(parts)
    assert parts.collector.statistics()["collector_backlog"] == 1
    objects.unlink()
    aside.rename(objects)
    parts.clock.now += CLAIM_SECONDS
    (claimed,) = parts.trash.claim("me", 10)
    assert claimed.attempts == 0


def test_what_is_restored_is_read_byte_for_byte_and_caches_are_told(parts: Parts) -> None:
    parts.put("k", picture(seed=1))
    parts.delete("k")
    parts.caches.told.clear()
    facts, created = parts.restore(1)
    assert created
    assert parts.caches.told == [("k",)]
    assert parts.reader.facts("k") == facts
    collect(parts)
    assert parts.bytes_of("k") == picture(seed=1)
