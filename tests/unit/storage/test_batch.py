"""What a batch may say."""

from __future__ import annotations

from typing import Any

import pytest

from elastic_images.core.errors import InvalidKey, InvalidRequest, TooLarge
from elastic_images.storage.batch import MAX_OPERATIONS, Operation, parse_operations, write_id_of

DELETE = {"op": "delete", "key": "a"}
MOVE = {"op": "move", "key": "b", "to": "c"}
SHOW = {"op": "visibility", "key": "d", "visibility": "members"}


def test_operations_are_read_in_order() -> None:
    assert parse_operations([DELETE, MOVE, SHOW]) == [
        Operation("a"),
        Operation("b", to="c"),
        Operation("d", visibility="members"),
    ]
    assert parse_operations([]) == []
    assert len(parse_operations([{"op": "delete", "key": f"k{n}"} for n in range(MAX_OPERATIONS)])) == MAX_OPERATIONS
    assert parse_operations([{"op": "delete", "key": "old\u202e"}]) == [Operation("old\u202e")], (
        "what is there can be deleted"
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "must be a list"),
        ({}, "must be a list"),
        ("delete", "must be a list"),
        ([DELETE, None], "Operation 2: op must be"),
        ([[]], "Operation 1: op must be"),
        ([{}], "Operation 1: op must be delete, move or visibility"),
        ([{"op": "copy", "key": "a"}], "Operation 1: op must be"),
        ([{"op": ["delete"], "key": "a"}], "Operation 1: op must be"),
        ([{"op": "delete"}], "Operation 1: delete has key, op, and nothing else"),
        ([DELETE | {"to": "x"}], "Operation 1: delete has key, op"),
        ([DELETE, {"op": "move", "key": "b"}], "Operation 2: move has key, op, to"),
        ([MOVE | {"visibility": "public"}], "Operation 1: move has"),
        ([SHOW | {"visibility": "secret"}], "Operation 1: A visibility is public, members or private, not 'secret'"),
        ([SHOW | {"visibility": None}], "Operation 1: A visibility is"),
        ([DELETE, DELETE], "Operation 2 names 'a', as operation 1 does"),
        ([DELETE, MOVE, {"op": "delete", "key": "c"}], "Operation 3 names 'c', as operation 2 does"),
        ([DELETE, MOVE | {"to": "a"}], "Operation 2 names 'a', as operation 1 does"),
        ([MOVE | {"to": "b"}], "Operation 1 names 'b', as operation 1 does"),
    ],
    ids=str,
)
def test_malformed_batches_are_refused_with_the_number_of_the_operation(value: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        parse_operations(value)


@pytest.mark.parametrize("key", ["", "a/", "..", "x" * 256, "\ud800", "u\u0308", 7, None, ["a"]])
def test_a_bad_key_is_refused_wherever_it_is(key: object) -> None:
    for operation in ({"op": "delete", "key": key}, MOVE | {"key": key}, MOVE | {"to": key}):
        with pytest.raises(InvalidKey, match="Operation 1: "):
            parse_operations([operation])


def test_a_new_key_does_not_look_like_another_one() -> None:
    with pytest.raises(InvalidKey, match="direction of text"):
        parse_operations([MOVE | {"to": "a\u202eb"}])


def test_there_are_not_too_many() -> None:
    with pytest.raises(TooLarge, match="at most 1,000 operations; this one has 1,001"):
        parse_operations([{"op": "delete", "key": f"k{n}"} for n in range(MAX_OPERATIONS + 1)])


def test_each_operation_has_a_write_id_of_its_own_that_is_the_same_next_time() -> None:
    ids = {write_id_of(batch, place) for batch in ("0" * 32, "1" * 32) for place in range(50)}
    assert len(ids) == 100
    assert all(len(one) == 32 and set(one) <= set("0123456789abcdef") for one in ids)
    assert write_id_of("0" * 32, 7) in ids
