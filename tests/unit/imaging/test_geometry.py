"""Sizes and crops, upright and turned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.rendition_spec import GRAVITIES, RenditionSpec
from elastic_images.imaging.geometry import place

SIDES = st.integers(1, 9000)


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        (RenditionSpec(), (600, 400)),
        (RenditionSpec(300), (300, 200)),
        (RenditionSpec(height=100), (150, 100)),
        (RenditionSpec(300, 100), (150, 100)),
        (RenditionSpec(1200, 1200), (600, 400)),
        (RenditionSpec(1), (1, 1)),
        (RenditionSpec(200, 200, "cover"), (200, 200)),
        (RenditionSpec(800, 800, "cover"), (400, 400)),
        (RenditionSpec(1200, 630, "cover"), (600, 315)),
        (RenditionSpec(200, None, "cover"), (200, 133)),
    ],
)
def test_sizes(spec: RenditionSpec, size: tuple[int, int]) -> None:
    placing = place((600, 400), 1, spec)
    assert (placing.width, placing.height) == size
    turned = place((400, 600), 6, spec)
    assert (turned.width, turned.height) == size
    assert turned.stored_size == size[::-1]


@pytest.mark.parametrize(
    ("gravity", "orientation", "box"),
    [
        ("center", 1, (100, 0, 500, 400)),
        ("west", 1, (0, 0, 400, 400)),
        ("southeast", 1, (200, 0, 600, 400)),
        ("west", 2, (200, 0, 600, 400)),
        ("west", 3, (200, 0, 600, 400)),
        ("west", 4, (0, 0, 400, 400)),
    ],
)
def test_crops_in_the_stored_image(gravity: str, orientation: int, box: tuple[int, ...]) -> None:
    assert place((600, 400), orientation, RenditionSpec(50, 50, "cover", gravity)).box == box


@pytest.mark.parametrize(("gravity", "orientation", "low"), [("west", 6, True), ("west", 8, False)])
def test_crops_of_an_image_on_its_side(gravity: str, orientation: int, low: bool) -> None:
    """Turned by 90 degrees, what was below is on the left; by 270, what was above."""
    left, top, right, bottom = place((400, 600), orientation, RenditionSpec(50, 50, "cover", gravity)).box
    assert (left, right) == (0, 400)
    assert (top, bottom) == ((200, 600) if low else (0, 400))


def test_an_unknown_gravity_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="northwest"):
        place((9, 9), 1, RenditionSpec(3, 3, "cover", "top"))


@given(
    SIDES,
    SIDES,
    st.integers(1, 8),
    st.builds(
        RenditionSpec,
        st.none() | SIDES,
        st.none() | SIDES,
        st.sampled_from(["inside", "cover"]),
        st.sampled_from(sorted(GRAVITIES)),
    ),
)
def test_nothing_is_enlarged_nor_outside(width: int, height: int, orientation: int, spec: RenditionSpec) -> None:
    placing = place((width, height), orientation, spec)
    left, top, right, bottom = placing.box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    across, down = placing.stored_size
    assert 1 <= across <= max(round(right - left), 1)
    assert 1 <= down <= max(round(bottom - top), 1)
    assert placing.width <= (spec.width or placing.width)
    assert placing.height <= (spec.height or placing.height)
