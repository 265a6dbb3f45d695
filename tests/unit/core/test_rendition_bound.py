"""Which renditions strangers may ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.rendition_bound import RenditionBound
from elastic_images.core.rendition_query import parse_preset, parse_query

BOUND = RenditionBound((160, 320, 400, 640, 1600), ((1, 1), (4, 3), (16, 9), (3, 4)), (60, 75, 80))
PRESETS = dict(map(parse_preset, ["odd=w=333&h=77&q=99"]))


def nearest(query: str) -> str:
    asked = parse_query(query, PRESETS)
    return "allowed" if BOUND.allows(asked) else BOUND.nearest(asked).text


@pytest.mark.parametrize(
    "query",
    [
        "",
        "w=400",
        "h=320",
        "w=400&dpr=3",
        "w=400&h=300&fit=cover&gravity=north",
        "w=400&h=301",
        "w=320&h=180",
        "w=400&ar=16:9",
        "w=400&ar=32:18",
        "w=400&q=80&format=avif",
        "format=webp",
        "format=auto&w=640",
        "preset=odd",
        "preset=odd&dpr=2&format=webp&q=60",
        "v=0123456789ab",
    ],
)
def test_these_are_open_to_all(query: str) -> None:
    assert nearest(query) == "allowed"


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("w=401", "w=400"),
        ("w=360", "w=400"),
        ("w=9", "w=160"),
        ("w=8000", "w=1600"),
        ("h=300", "h=320"),
        ("h=321", "h=320"),
        ("w=333&dpr=2&format=webp", "w=320&dpr=2&format=webp"),
        ("w=400&h=310&fit=cover", "w=400&h=300&fit=cover"),
        ("w=410&h=231", "w=400&h=225"),
        ("w=400&h=900&gravity=north", "w=400&h=533&gravity=north"),
        ("w=400&ar=2:1", "w=400&ar=16:9"),
        ("w=330&ar=4:3", "w=320&ar=4:3"),
        ("w=400&q=81", "w=400&q=80"),
        ("q=1", "q=60"),
        ("preset=odd&q=99", "preset=odd&q=80"),
    ],
)
def test_others_have_a_nearest_that_is(query: str, wanted: str) -> None:
    assert nearest(query) == wanted
    assert nearest(wanted) == "allowed"


@pytest.mark.parametrize(
    ("query", "exact"),
    [
        ("w=400&h=300", "w400,h300"),
        ("w=400&h=299", "w400,h300"),
        ("w=400&h=301&dpr=2", "w800,h600"),
        ("w=1600&h=901&fit=cover", "w1600,h900,cover"),
        ("w=400&ar=32:18", "w400,h225,cover"),
        ("w=400&ar=401:300", "w400,h300,cover"),
        ("w=400&h=300&q=60", "w400,h300,q60"),
        ("preset=odd", "w333,h77,q99"),
    ],
)
def test_what_is_a_pixel_beside_a_ratio_is_made_exact(query: str, exact: str) -> None:
    spec = BOUND.nearest(parse_query(query, PRESETS)).spec("")
    assert spec
    assert spec.canonical == exact


def test_each_height_of_a_ratio_is_kept_among_many_like_ones() -> None:
    close = RenditionBound((10,), ((200, 191), (200, 209), (200, 211), (1000, 949)), (80,))
    for height in (9, 10, 11):
        assert close.nearest(parse_query(f"w=10&h={height}", {})).height == height


@given(st.integers(1, 8192), st.none() | st.integers(1, 8192), st.none() | st.integers(1, 100))
def test_the_nearest_is_always_allowed(width: int, height: int | None, quality: int | None) -> None:
    parameters = {"w": width, "h": height, "q": quality}
    query = "&".join(f"{name}={value}" for name, value in parameters.items() if value is not None)
    found = nearest(query)
    assert found == "allowed" or nearest(found) == "allowed"
