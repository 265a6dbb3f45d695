"""The checker's judgement: who may get which image under which name."""

from __future__ import annotations

import pytest
from benchmarks.checker.states import NOTHING, REFUSED, Got, State, Viewer, shown, what_is_wrong

PUBLIC, HIDDEN = State(1), State(1, "private")
IMAGE = Got("image", 1)


@pytest.mark.parametrize(
    ("visibility", "people"),
    [("public", "visitor member owner admin"), ("members", "member owner admin"), ("private", "owner admin")],
)
def test_who_is_shown_what(visibility: str, people: str) -> None:
    state = State(1, visibility)  # type: ignore[arg-type]
    viewers: tuple[Viewer, ...] = ("visitor", "member", "owner", "admin")
    assert [viewer for viewer in viewers if shown(state, 0, viewer) == IMAGE] == people.split()
    assert {shown(state, 1, viewer) for viewer in viewers} == {NOTHING}


def test_a_change_may_show_or_not_until_it_is_acknowledged() -> None:
    for got in (IMAGE, NOTHING):
        assert what_is_wrong([PUBLIC, HIDDEN], 0, ["visitor"], got) is None
    assert what_is_wrong([HIDDEN], 0, ["visitor"], IMAGE) == "shown to visitor: the image of step 1, which is private"
    assert what_is_wrong([HIDDEN], 0, ["visitor"], NOTHING) is None
    assert what_is_wrong([HIDDEN], 0, ["owner"], NOTHING) == "not found"


def test_bytes_and_visibility_are_those_of_one_state() -> None:
    secret = State(2, "private")
    assert what_is_wrong([PUBLIC, secret], 0, ["visitor"], Got("image", 2)) is not None
    assert what_is_wrong([PUBLIC, secret], 0, ["owner"], Got("image", 2)) is None
    assert what_is_wrong([PUBLIC], 0, ["owner"], Got("image", 2)) == "the image of step 2"


def test_after_a_rename_there_is_nothing_under_the_old_name() -> None:
    moved = State(1, "public", 3, 0)
    assert moved.names == (3, 0)
    assert what_is_wrong([moved], 3, ["visitor"], IMAGE) is None
    assert what_is_wrong([moved], 3, ["visitor"], NOTHING) == "not found"
    assert what_is_wrong([moved], 0, ["visitor"], NOTHING) is None
    assert what_is_wrong([moved], 0, ["visitor"], IMAGE) == "the image of step 1"


def test_facts_say_the_visibility() -> None:
    assert what_is_wrong([HIDDEN], 0, ["owner"], Got("facts", visibility="private")) is None
    assert what_is_wrong([HIDDEN], 0, ["owner"], Got("facts", visibility="public")) is not None
    assert what_is_wrong([HIDDEN], 0, ["member"], Got("facts", visibility="private")) is not None


def test_only_revoked_credentials_are_refused() -> None:
    assert what_is_wrong([PUBLIC], 0, ["visitor"], REFUSED) == "refused"
    assert what_is_wrong([PUBLIC], 0, ["owner", None], REFUSED) is None
    assert what_is_wrong([HIDDEN], 0, ["owner", "visitor", None], IMAGE) is None
    assert what_is_wrong([HIDDEN], 0, ["visitor", None], IMAGE) is not None
    assert what_is_wrong([PUBLIC], 0, [None], IMAGE) == "shown to revoked: the image of step 1, which is public"


def test_images_of_other_keys_are_wrong() -> None:
    assert what_is_wrong([PUBLIC], 0, ["admin"], Got("another's", 7)) == "an image of key 7"
