from __future__ import annotations

import io

import pytest
from benchmarks.lib.images import jpegs
from PIL import Image


@pytest.mark.parametrize("size_bytes", [10_000, 100_000, 1_000_000])
def test_images_are_jpegs_of_about_the_size(size_bytes: int) -> None:
    made = jpegs(size_bytes, 3)
    assert len(set(made)) == 3
    for body in made:
        assert len(body) == pytest.approx(size_bytes, rel=0.1)
        with Image.open(io.BytesIO(body)) as image:
            assert image.format == "JPEG"
            image.load()


def test_more_images_than_photographs_still_differ() -> None:
    assert len(set(jpegs(10_000, 16))) == 16
