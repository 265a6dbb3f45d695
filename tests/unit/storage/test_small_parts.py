"""Conditions, cursors, transactions: the small parts that the write path stands on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError
from testing.storage_parts import facts_of

from elastic_images.core.errors import InvalidRequest, PreconditionFailed
from elastic_images.core.image_facts import ImageFacts
from elastic_images.storage.catalog.listing import CatalogPage, Cursor, decode_cursor
from elastic_images.storage.catalog.transactions import RetryingTransactions
from elastic_images.storage.conditions import NO_CONDITIONS, Conditions

TAG = '"abc"'


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "etag", "holds"),
    [
        (None, None, None, True),
        (None, None, TAG, True),
        ("*", None, TAG, True),
        ("*", None, None, False),
        (TAG, None, TAG, True),
        (f'"x", {TAG} ,"y"', None, TAG, True),
        ('"x"', None, TAG, False),
        (TAG, None, None, False),
        (f"W/{TAG}", None, TAG, False),  # If-Match compares strongly
        (None, "*", None, True),
        (None, "*", TAG, False),
        (None, TAG, TAG, False),
        (None, f"W/{TAG}", TAG, False),  # If-None-Match weakly
        (None, '"x"', TAG, True),
        (TAG, "*", TAG, False),
    ],
)
def test_conditions(if_match: str | None, if_none_match: str | None, etag: str | None, holds: bool) -> None:
    conditions = Conditions.parse(if_match, if_none_match)
    if holds:
        conditions.check(etag)
    else:
        with pytest.raises(PreconditionFailed):
            conditions.check(etag)


@pytest.mark.parametrize("text_", ["", "abc", '"abc', '"a" "b"', '*, "a"', '"a",', 'w/"a"', "**"])
def test_conditions_that_cannot_be_read(text_: str) -> None:
    with pytest.raises(InvalidRequest):
        Conditions.parse(text_, None)
    with pytest.raises(InvalidRequest):
        Conditions.parse(None, text_)
    assert Conditions.parse(None, None) == NO_CONDITIONS


def test_cursors_come_back_as_they_went() -> None:
    for key in ["k", "a/b c", "图" * 255]:
        cursor = Cursor(key, 1_800_000_000.123456)
        assert decode_cursor(cursor.encode("newest"), "newest") == cursor
        assert cursor.encode("key").isascii()


@pytest.mark.parametrize("text_", ["", "?", "e30", "W10", "WyJrZXkiXQ", "bnVsbA", "WyJrZXkiLDEsMF0", "é", "A" * 5])
def test_cursors_of_another_kind(text_: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_cursor(text_, "key")


def test_facts_travel_as_json() -> None:
    facts = facts_of("k")
    assert ImageFacts.from_json(facts.to_json()) == facts
    assert CatalogPage((facts,), "next").to_json() == {"images": [facts.to_json()], "next": "next"}


class Deadlock(Exception):
    sqlstate = "40P01"


def test_a_transaction_that_met_another_is_run_again(engine: Engine) -> None:
    waits: list[float] = []
    transactions = RetryingTransactions(engine, sleep=waits.append)
    errors: Iterator[Exception | None] = iter(
        [OperationalError("x", {}, Deadlock()), IntegrityError("x", {}, Exception("UNIQUE")), None]
    )

    def work(connection: object) -> int:
        connection.execute(text("INSERT INTO image_usage VALUES (1, 1, 1)"))  # type: ignore[attr-defined]
        if error := next(errors):
            raise error
        return 7

    assert transactions.write(work) == 7
    assert len(waits) == 2
    with engine.connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM image_usage")).scalar() == 1


def test_a_transaction_is_not_run_for_ever(engine: Engine) -> None:
    runs: list[int] = []

    def work(_: object) -> None:
        runs.append(1)
        raise IntegrityError("x", {}, Exception("always"))

    with pytest.raises(IntegrityError):
        RetryingTransactions(engine, sleep=lambda _: None).write(work)
    assert 2 <= len(runs) <= 20
    runs.clear()

    def gone(_: object) -> None:
        runs.append(1)
        raise OperationalError("x", {}, Exception("server has gone away"))

    with pytest.raises(OperationalError):
        RetryingTransactions(engine).write(gone)
    assert runs == [1], "whether it was committed is not known"
