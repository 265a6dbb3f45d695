"""The header that restores an image's facts: what is read, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.restored_facts import MAX_AHEAD_SECONDS, MAX_KEPT_VERSION, RestoredFacts
from elastic_images.core.visibility import VISIBILITIES, Visibility

NOW = 1_800_000_000.0
GOOD: dict[str, Any] = {"owner": "ann", "created_at": 1.5, "updated_at": 2, "version": 3}
TIMES = st.floats(0, NOW)


def parse(**changes: Any) -> RestoredFacts:
    return RestoredFacts.parse(json.dumps(GOOD | changes), NOW)


def test_what_is_good_is_read() -> None:
    assert parse() == RestoredFacts("ann", 1.5, 2.0, 3)
    assert parse(owner=None).owner is None
    assert parse(visibility="private").visibility == "private"
    assert parse(created_at=0, updated_at=NOW + MAX_AHEAD_SECONDS, version=MAX_KEPT_VERSION).created_at == 0


@given(
    TIMES,
    TIMES,
    st.integers(1, MAX_KEPT_VERSION),
    st.none() | st.sampled_from(["ann", "Zoë", "图-1"]),
    st.none() | st.sampled_from(VISIBILITIES),
)
def test_a_header_says_what_was_meant_to_the_last_bit(
    one: float, two: float, version: int, owner: str | None, visibility: Visibility | None
) -> None:
    facts = RestoredFacts(owner, min(one, two), max(one, two), version, visibility=visibility)
    assert facts.to_header().isascii()
    assert RestoredFacts.parse(facts.to_header(), NOW) == facts


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": ""},
        {"owner": 1},
        {"owner": ["ann"]},
        {"owner": "a\nb"},
        {"owner": "x" * 256},
        {"owner": "\ud800"},
        {"created_at": -1},
        {"created_at": float("nan")},
        {"updated_at": float("nan")},
        {"updated_at": float("inf")},
        {"updated_at": -float("inf")},
        {"updated_at": 10**400},
        {"updated_at": "2"},
        {"updated_at": True},
        {"updated_at": None},
        {"updated_at": NOW + MAX_AHEAD_SECONDS + 1},
        {"created_at": 3},
        {"version": 0},
        {"version": -1},
        {"version": 1.0},
        {"version": True},
        {"version": "1"},
        {"version": MAX_KEPT_VERSION + 1},
        {"more": 1},
        {"owner_id": 1},
        {"visibility": "secret"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        parse(**changes)


@pytest.mark.parametrize("missing", GOOD)
def test_all_four_are_needed(missing: str) -> None:
    text = json.dumps({name: value for name, value in GOOD.items() if name != missing})
    with pytest.raises(InvalidRequest):
        RestoredFacts.parse(text, NOW)


@pytest.mark.parametrize("text", ["", "x", "null", "1", "[]", '"owner"', "{}", "[" * 100_000, "9" * 10_000])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        RestoredFacts.parse(text, NOW)


@given(st.text())
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        RestoredFacts.parse(text, NOW)
