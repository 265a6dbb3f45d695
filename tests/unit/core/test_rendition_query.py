"""What the query of an image's URL asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.rendition_query import RenditionQuery, best_format, parse_preset, parse_query
from elastic_images.core.rendition_spec import FORMATS, GRAVITIES

PRESETS = dict(
    map(parse_preset, ["thumb=w=320&h=320", "card=w=400&h=300&fit=cover&format=webp&q=70", "best=format=auto"])
)
ACCEPT = "image/avif,image/webp,image/*;q=0.8,*/*;q=0.5"


def canonical(query: str, accept: str = "") -> str | None:
    spec = parse_query(query, PRESETS).spec(accept)
    return None if spec is None else spec.canonical


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", None),
        ("utm_source=x&fbclid=y&_=1", None),
        ("v=0123456789ab", None),
        ("gravity=north", None),
        ("w=400", "w400"),
        ("h=300&w=400", "w400,h300"),
        ("w=400&h=300&fit=inside", "w400,h300"),
        ("w=400&h=300&fit=cover", "w400,h300,cover"),
        ("w=400&h=300&fit=cover&gravity=northeast", "w400,h300,cover,northeast"),
        ("w=400&h=300&gravity=north", "w400,h300"),
        ("w=400&fit=cover&gravity=north", "w400"),
        ("w=400&ar=16:9", "w400,h225,cover"),
        ("w=400&ar=16:9&fit=inside", "w400,h225"),
        ("w=401&h=301&dpr=1.5", "w602,h452"),
        ("h=100&dpr=3", "h300"),
        ("format=webp&q=80", "webp,q80"),
        ("format=png&q=80", "png"),
        ("q=80", "q80"),
        ("preset=thumb", "w320,h320"),
        ("rendition=thumb", "w320,h320"),
        ("preset=card", "w400,h300,cover,webp,q70"),
        ("preset=card&dpr=2&format=avif&q=50&gravity=south", "w800,h600,cover,south,avif,q50"),
        ("w=400&fbclid=1&fbclid=2", "w400"),
    ],
)
def test_parameters_become_a_spec(query: str, wanted: str | None) -> None:
    assert canonical(query) == wanted


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (ACCEPT, "w400,avif"),
        ("image/webp,*/*", "w400,webp"),
        ("image/AVIF", "w400,avif"),
        ("image/avif;q=0, image/webp;q=0.5", "w400,webp"),
        ("image/avif;q=0.0", "w400"),
        ("*/*", "w400"),
        ("image/*", "w400"),
        ("", "w400"),
    ],
)
def test_the_best_format_is_one_that_the_client_names(accept: str, wanted: str) -> None:
    assert canonical("w=400&format=auto", accept) == wanted
    assert parse_query("w=400&format=auto", {}).auto


def test_where_no_format_is_named_auto_alone_is_the_original() -> None:
    assert canonical("format=auto", "*/*") is None
    assert canonical("preset=best", ACCEPT) == "avif"
    assert best_format(ACCEPT) == "avif"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("w=0", "w is a whole number from 1 to 8192, not '0'"),
        ("w=-5", "w is a whole number"),
        ("w=1.5", "w is a whole number"),
        ("w=", "w is a whole number from 1 to 8192, not ''"),
        ("w=8193", "not '8193'"),
        ("h=99999999999999999999", "h is a whole number"),
        ("w=4e2", "w is a whole number"),
        ("w=%D9%A4", "w is a whole number"),
        ("q=0", "q is a whole number from 1 to 100"),
        ("q=101", "q is a whole number"),
        ("w=1&w=1", "w is given twice"),
        ("preset=thumb&rendition=thumb", "preset is given twice"),
        ("v=1&v=2", "v is given twice"),
        ("fit=cover", "fit needs a box"),
        ("fit=contain&w=4&h=4", "inside or cover, not 'contain'. Say fit=inside."),
        ("fit=crop&w=4&h=4", "Say fit=cover."),
        ("fit=fill&w=4", "fit is inside or cover"),
        ("w=4&gravity=up", "gravity is center, north"),
        ("format=jpg", "Say format=jpeg."),
        ("format=gif", "format is auto, jpeg, png, webp or avif, not 'gif'"),
        ("preset=huge", "There is no preset 'huge': there are thumb, card, best."),
        ("preset=thumb&w=4", "leave out w"),
        ("ar=16:9", "ar gives the height to a width"),
        ("ar=16:9&w=4&h=4", "and not h"),
        ("ar=1.91:1&w=4", "ar is two whole numbers"),
        ("ar=0:1&w=4", "ar is two whole numbers"),
        ("dpr=4&w=4", "dpr is 1, 1.5, 2 or 3, not '4'"),
        ("dpr=2", "dpr multiplies a size"),
        ("w=8192&dpr=2", "This asks for 16384 x ? pixels"),
        ("w=100&ar=1:9999", "This asks for 100 x 999900 pixels"),
        ("width=4", "There is no parameter 'width': use w."),
        ("height=4", "use h"),
        ("quality=4", "use q"),
        ("size=4x4", "use w and h"),
        ("fm=webp", "use format"),
        ("auto=format", "use format=auto"),
        ("crop=faces", "use fit=cover"),
        ("resize=4,4", "use w, h and fit"),
        ("tr=w-4", "use w, h, fit"),
        ("&".join(f"x{number}=1" for number in range(21)), "at most 20 parameters"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_right(query: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_query(query, PRESETS)
    assert said in str(raised.value)


_queries = st.builds(
    RenditionQuery,
    width=st.integers(1, 2000),
    height=st.none() | st.integers(1, 2000),
    fit=st.sampled_from(["inside", "cover"]),
    gravity=st.sampled_from(GRAVITIES),
    dpr=st.sampled_from([1.0, 1.5, 2.0, 3.0]),
    format=st.none() | st.sampled_from(FORMATS),
    quality=st.none() | st.integers(1, 100),
) | st.builds(
    RenditionQuery,
    width=st.integers(1, 2000),
    ratio=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    fit=st.sampled_from(["inside", "cover"]),
    auto=st.booleans(),
    version=st.none() | st.just("0123456789ab"),
)


@given(_queries)
def test_a_query_can_be_written_again(asked: RenditionQuery) -> None:
    assert parse_query(asked.text, {}) == asked


@pytest.mark.parametrize("text", ["", "card", "Card=w=4", "card=w=0", "card=v=1", "card=gravity=north", "a b=w=4"])
def test_bad_presets_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_preset(text)
