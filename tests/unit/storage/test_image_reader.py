"""Nothing damaged leaves storage, and what is damaged or lost is recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from testing.storage_parts import Parts, large_picture, picture

from elastic_images.core.errors import Damaged, ElasticImagesError, InvalidRequest, Lost, NotFound, Unavailable
from elastic_images.storage.objects.object_store import CHUNK_BYTES


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


RUINS: dict[str, tuple[Callable[[Path], None], type[ElasticImagesError], str]] = {
    "flip": (flip, Damaged, "damaged"),
    "cut": (cut, Damaged, "damaged"),
    "grow": (grow, Damaged, "damaged"),
    "remove": (Path.unlink, Lost, "lost"),
    "folder": (replace_by_folder, Lost, "lost"),
}
SIZES = pytest.mark.parametrize("body", [picture(), large_picture()], ids=["small", "large"])


def listed(parts: Parts) -> list[tuple[str, str]]:
    return [(row["key"], row["state"]) for row in parts.bad_objects.page()["images"]]


@SIZES
@pytest.mark.parametrize("ruin", RUINS)
def test_a_bad_object_is_never_given_out_and_is_recorded(
    parts: Parts, body: bytes, ruin: str, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, kind, state = RUINS[ruin]
    parts.put("good", picture(seed=9))
    parts.put("k", body)
    spoil(parts.path_of("k"))
    with pytest.raises(kind, match=f"are {state}"):
        parts.reader.read("k")
    assert listed(parts) == [("k", state)]
    assert parts.bad_objects.counts() == {"damaged": int(state == "damaged"), "lost": int(state == "lost")}
    assert [record.levelno for record in caplog.records if "'k'" in record.message] == [logging.ERROR]
    with pytest.raises(kind):
        parts.reader.open("k")
    assert parts.bytes_of("good") == picture(seed=9)


def test_a_stream_holds_its_last_chunk_back_until_the_digest_is_right(parts: Parts) -> None:
    parts.put("k", large_picture())
    _, chunks = parts.reader.open("k")
    assert b"".join(chunks) == large_picture()
    flip(parts.path_of("k"))
    image, chunks = parts.reader.open("k")
    sent = b""
    stream = iter(chunks)
    with pytest.raises(Damaged):  # noqa: PT012 - what came before it counts
        while True:
            sent += next(stream)
    assert len(sent) <= image.facts.size_bytes - min(CHUNK_BYTES, image.facts.size_bytes - CHUNK_BYTES)
    assert listed(parts) == [("k", "damaged")]
    with pytest.raises(Damaged):
        parts.reader.open("k")


@SIZES
def test_a_read_that_fails_by_chance_brands_no_object(
    parts: Parts, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.put("k", body)
    real, path, opened = parts.store.open, parts.path_of("k"), []

    def sometimes_wrong(name: str) -> object:
        opened.append(name)
        flip(path)  # there, and back again
        return real(name)

    monkeypatch.setattr(parts.store, "open", sometimes_wrong)
    assert parts.reader.read("k")[1] == body
    assert len(opened) == 2
    assert listed(parts) == []
    _, chunks = parts.reader.open("k")
    if body == picture():
        assert b"".join(chunks) == body
    else:
        with pytest.raises(Unavailable, match="wrong once"):
            list(chunks)
    assert listed(parts) == []


@SIZES
@pytest.mark.parametrize("ruin", RUINS)
def test_a_new_upload_mends_the_key(parts: Parts, body: bytes, ruin: str) -> None:
    parts.put("k", body)
    RUINS[ruin][0](parts.path_of("k"))
    with pytest.raises(ElasticImagesError):
        parts.reader.read("k")
    parts.put("k", picture(seed=2))
    assert parts.bytes_of("k") == picture(seed=2)
    assert listed(parts) == []
    assert parts.bad_objects.counts() == {"damaged": 0, "lost": 0}


@SIZES
def test_an_object_that_was_mended_in_place_is_read_again(parts: Parts, body: bytes) -> None:
    parts.put("k", body)
    flip(parts.path_of("k"))
    with pytest.raises(Damaged):
        parts.reader.read("k")
    flip(parts.path_of("k"))
    assert b"".join(parts.reader.open("k")[1]) == body
    assert listed(parts) == []


def test_nothing_is_lost_while_the_store_is_away(parts: Parts) -> None:
    parts.put("k", picture())
    parts.path_of("k").unlink()
    parts.store_away = "The object store is not this system's."
    with pytest.raises(Unavailable, match="not this system's"):
        parts.reader.read("k")
    assert listed(parts) == []
    parts.store_away = None
    with pytest.raises(Lost):
        parts.reader.read("k")


def test_a_disk_error_while_reading_is_damage(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, name: str) -> None:
            self._found = real(name)
            self.size_bytes = self._found.size_bytes

        def read(self, _size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

        def close(self) -> None:
            self._found.close()

        def __enter__(self) -> Broken:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

    real = parts.store.open
    for key, body in (("small", picture()), ("large", large_picture())):
        parts.put(key, body)
    monkeypatch.setattr(parts.store, "open", Broken)
    with pytest.raises(Damaged):
        parts.reader.read("small")
    _, chunks = parts.reader.open("large")
    with pytest.raises(Damaged):
        list(chunks)
    assert listed(parts) == [("large", "damaged"), ("small", "damaged")]
    assert "Input/output error" in parts.bad_objects.page()["images"][0]["detail"]


def test_the_list_is_paged_by_key(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elastic_images.storage.bad_objects.DEFAULT_LIMIT", 2)
    for key in ("b", "c", "a", "d", "e"):
        parts.put(key, picture(seed=ord(key)))
        parts.path_of(key).unlink()
        with pytest.raises(Lost):
            parts.reader.read(key)
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = parts.bad_objects.page(cursor)
        seen += [row["key"] for row in page["images"]]
        cursor, pages = page["next"], pages + 1
    assert (seen, pages) == (["a", "b", "c", "d", "e"], 3)
    with pytest.raises(InvalidRequest):
        parts.bad_objects.page("nonsense")


def test_a_read_is_answered_even_if_nothing_can_be_recorded(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_work: Callable[..., object]) -> object:
        raise OSError("no database")

    parts.put("k", picture())
    flip(parts.path_of("k"))
    with monkeypatch.context() as patch:
        patch.setattr(parts.bad_objects._transactions, "write", fail)
        with pytest.raises(Damaged):
            parts.reader.read("k")
    assert listed(parts) == []
    with pytest.raises(Damaged):
        parts.reader.read("k")
    assert listed(parts) == [("k", "damaged")]


def test_an_object_read_often_is_recorded_once_a_minute(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Mock(side_effect=parts.bad_objects._transactions.write)
    monkeypatch.setattr(parts.bad_objects._transactions, "write", writes)
    parts.put("k", picture())
    flip(parts.path_of("k"))
    for _ in range(5):
        with pytest.raises(Damaged):
            parts.reader.read("k")
    assert writes.call_count == 1
    parts.monotonic.now += 61
    with pytest.raises(Damaged):
        parts.reader.read("k")
    assert writes.call_count == 2


def test_rows_that_nothing_refers_to_are_swept(parts: Parts) -> None:
    for key in ("kept", "gone"):
        parts.put(key, picture())
        flip(parts.path_of(key))
        with pytest.raises(Damaged):
            parts.reader.read(key)
    parts.delete("gone")
    parts.bad_objects.sweep()
    assert listed(parts) == [("kept", "damaged")]
    with pytest.raises(NotFound):
        parts.reader.read("gone")
