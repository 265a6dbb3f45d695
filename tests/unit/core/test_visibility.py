"""Who may see an image."""

from __future__ import annotations

import itertools

import pytest

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.image_facts import Actor
from elastic_images.core.visibility import VISIBILITIES, may_see, parse_visibility

VISITOR = Actor(None, "anonymous")
OWNER = Actor(7, "ann")
OTHER = Actor(8, "bob")
ADMIN = Actor(1, "admin", admin=True)
OPEN_HOUSE = Actor(None, "anonymous", admin=True)
"""A visitor of a system where everyone is an administrator."""
EVERYBODY = (None, VISITOR, OTHER, OWNER, ADMIN, OPEN_HOUSE)


def viewers(visibility: str, owner_id: int | None) -> list[Actor | None]:
    return [actor for actor in EVERYBODY if may_see(actor, parse_visibility(visibility), owner_id)]


def test_each_visibility_has_its_viewers() -> None:
    assert viewers("public", 7) == list(EVERYBODY)
    assert viewers("members", 7) == [OTHER, OWNER, ADMIN, OPEN_HOUSE]
    assert viewers("private", 7) == [OWNER, ADMIN, OPEN_HOUSE]


def test_only_administrators_see_a_private_image_that_nobody_here_owns() -> None:
    assert viewers("private", None) == [ADMIN, OPEN_HOUSE]


def test_a_narrower_visibility_has_no_new_viewers() -> None:
    for owner_id, (wide, narrow) in itertools.product((7, 8, None), itertools.pairwise(VISIBILITIES)):
        assert set(viewers(narrow, owner_id)) <= set(viewers(wide, owner_id))


@pytest.mark.parametrize("text", ["", "Public", " private", "unlisted", None, True, 1, [], {}, "x" * 10_000])
def test_other_words_are_refused(text: object) -> None:
    with pytest.raises(InvalidRequest, match="public, members or private") as refused:
        parse_visibility(text)
    assert len(str(refused.value)) < 120
