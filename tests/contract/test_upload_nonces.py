"""An upload link is good for one upload, whoever uses it and however often at once, on every kind of database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from testing.storage_parts import ANN, BOB, Parts, picture, upload_of, write_id

from elastic_images.core.errors import Forbidden, InvalidRequest, LinkUsed, NotAnImage, PreconditionFailed
from elastic_images.core.upload_nonce import UploadNonce
from elastic_images.storage.catalog.catalog import NewImage
from elastic_images.storage.catalog.tables import upload_nonces
from elastic_images.storage.conditions import Conditions
from elastic_images.storage.upkeep.collector import NONCE_SECONDS

NEW = Conditions.parse(None, "*")


@pytest.fixture
def parts(catalog_engine: Engine, tmp_path: Path) -> Parts:
    return Parts(catalog_engine, tmp_path)


def fresh(parts: Parts) -> UploadNonce:
    return UploadNonce(write_id(), int(parts.clock.now) + 60)


def used(parts: Parts) -> int:
    with parts.engine.connect() as connection:
        return len(connection.execute(select(upload_nonces)).all())


def test_the_second_use_is_refused_and_leaves_nothing_behind(parts: Parts) -> None:
    nonce, one = fresh(parts), write_id()
    facts, _ = parts.put("k", picture(), nonce=nonce, write_id=one)
    for key in ("k", "l"):
        with pytest.raises(LinkUsed):
            parts.put(key, picture(seed=1), nonce=nonce)
    assert parts.put("k", picture(), nonce=nonce, write_id=one) == (facts, True), "the same write is no second use"
    assert len(parts.objects()) == 1
    parts.delete("k")
    with pytest.raises(LinkUsed):
        parts.put("k", picture(), nonce=nonce)
    parts.put("k", picture(), nonce=fresh(parts))


def test_a_refused_upload_uses_up_nothing(parts: Parts) -> None:
    parts.put("theirs", picture(), BOB)
    nonce = fresh(parts)
    with pytest.raises(NotAnImage):
        parts.put("k", b"no image", nonce=nonce)
    with pytest.raises(Forbidden):
        parts.put("theirs", picture(), nonce=nonce)
    with pytest.raises(PreconditionFailed):
        parts.put("theirs", picture(), BOB, nonce=nonce, conditions=NEW)
    with pytest.raises(Forbidden):  # found out in the transaction
        parts.catalog.put(replace(upload(parts, "theirs"), nonce=nonce), ANN)
    assert used(parts) == 0
    parts.put("k", picture(), nonce=nonce)
    assert used(parts) == 1


def upload(parts: Parts, key: str) -> NewImage:
    return replace(upload_of(key), begun_at=parts.monotonic())


@pytest.mark.parametrize("keys", [["k"] * 6, list("abcdef")], ids=["one key", "several keys"])
def test_of_several_uploads_at_once_one_is_stored(parts: Parts, keys: list[str]) -> None:
    for _ in range(3):
        nonce = fresh(parts)

        def put(key: str, nonce: UploadNonce = nonce) -> bool:
            try:
                parts.catalog.put(replace(upload(parts, key), nonce=nonce), ANN)
            except LinkUsed:
                return False
            return True

        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(put, keys)) == 1
    assert used(parts) == 3


def test_a_used_link_is_remembered_until_no_upload_can_be_under_way(parts: Parts) -> None:
    nonce = fresh(parts)
    parts.put("k", picture(), nonce=nonce)
    parts.clock.now = nonce.until + NONCE_SECONDS - 1
    parts.collector.collect()
    with pytest.raises(LinkUsed):
        parts.put("k", picture(), nonce=nonce)
    parts.clock.now += 1
    parts.collector.collect()
    assert used(parts) == 0


@pytest.mark.parametrize(
    "text", ["", "x", "0" * 32, "0" * 31 + " 1", "0" * 32 + " 1.5", "0" * 32 + "  1", "A" * 32 + " 1"]
)
def test_other_headers_are_refused(text: str) -> None:
    nonce = UploadNonce("0" * 32, 1_800_000_000)
    assert UploadNonce.parse(nonce.to_header()) == nonce
    with pytest.raises(InvalidRequest):
        UploadNonce.parse(text)
