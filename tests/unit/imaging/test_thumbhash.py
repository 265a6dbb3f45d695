"""ThumbHashes: the same bytes that the format's reference implementation (npm's thumbhash 0.1.1) gives."""

from __future__ import annotations

import base64

import pytest

from elastic_images.imaging.thumbhash import thumbhash


def drawing(width: int, height: int, *, see_through: bool) -> bytes:
    return b"".join(
        bytes(
            [
                x * 255 // max(width - 1, 1),
                y * 255 // max(height - 1, 1),
                x * y * 7 % 256,
                (x * 37 + y * 11) % 256 if see_through else 255,
            ]
        )
        for y in range(height)
        for x in range(width)
    )


@pytest.mark.parametrize(
    ("width", "height", "see_through", "expected"),
    [
        (32, 32, False, "HwgKLxpwdndwd3d3eGh3eId3BwmYgI8H"),
        (32, 21, False, "X/gNLZpwdndwd4d3h2iHd6CBCvh4"),
        (21, 32, True, "HwiGGw4HcIB3aHehgAr4h3Rzh3cHdmE="),
        (7, 5, False, "mAoOHaCAh4eAiIiIiHiIiIAQCPh4"),
        (1, 1, False, "AAgCBwAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        (32, 32, True, "HwiGHQ4HcHZweIdoeJCACfiHVVVoalICeA=="),
    ],
)
def test_it_is_that_of_the_reference(width: int, height: int, expected: str, *, see_through: bool) -> None:
    made = thumbhash(width, height, drawing(width, height, see_through=see_through))
    assert base64.b64encode(made).decode() == expected


def test_nothing_visible_is_a_hash_too() -> None:
    assert len(thumbhash(3, 2, bytes(4 * 6))) > 6
