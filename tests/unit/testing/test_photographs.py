from __future__ import annotations

import io
from collections import Counter

import pytest
from PIL import Image
from testing.photographs import Photograph, photographs


@pytest.fixture(scope="module")
def five_hundred() -> tuple[Photograph, ...]:
    return photographs(500)


def test_there_are_five_hundred_and_no_two_are_alike(five_hundred: tuple[Photograph, ...]) -> None:
    assert len({photograph.name for photograph in five_hundred}) == 500
    assert len({photograph.sha256 for photograph in five_hundred}) == 500


def test_every_format_is_among_them(five_hundred: tuple[Photograph, ...]) -> None:
    counts = Counter(photograph.content_type for photograph in five_hundred)
    assert set(counts) == {
        "image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff", "image/bmp", "image/avif"
    }  # fmt: skip
    assert min(counts.values()) > 30


def test_the_bytes_are_what_they_are_said_to_be(five_hundred: tuple[Photograph, ...]) -> None:
    for photograph in five_hundred[:60]:
        with Image.open(io.BytesIO(photograph.body)) as image:
            assert (image.get_format_mimetype(), *image.size) == (
                photograph.content_type,
                photograph.width,
                photograph.height,
            )


def test_the_same_again_is_the_same(five_hundred: tuple[Photograph, ...]) -> None:
    assert photographs(30) == five_hundred[:30]
