"""How a rendition's spec is written into names of caches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.rendition_spec import FITS, FORMATS, GRAVITIES, RenditionSpec
from elastic_images.core.renditions import rendition_name, split_name

SPECS = {
    "-": RenditionSpec(),
    "w320,h320": RenditionSpec(320, 320),
    "h9,cover,north,webp,q80": RenditionSpec(None, 9, "cover", "north", "webp", 80),
}

_sides = st.none() | st.integers(1, 8192)
_qualities = st.none() | st.integers(1, 100)
_plain = st.builds(
    RenditionSpec,
    _sides,
    _sides,
    st.sampled_from(FITS),
    st.just("center"),
    st.none() | st.sampled_from(FORMATS),
    _qualities,
)
_cropped = st.builds(RenditionSpec, _sides, _sides, st.just("cover"), st.sampled_from(GRAVITIES))


@pytest.mark.parametrize("text", SPECS)
def test_the_canonical_text(text: str) -> None:
    assert SPECS[text].canonical == text


@given(_plain | _cropped)
def test_a_spec_is_found_again_in_its_canonical_text(spec: RenditionSpec) -> None:
    assert RenditionSpec.parse_canonical(spec.canonical) == spec
    assert split_name(rendition_name("k1", spec)) == ("k1", spec)


@pytest.mark.parametrize("text", ["", "thumb", "w0", "w9000", "w400,w400", "h300,w400", "q101", "w4.5", "north"])
def test_other_texts_are_no_spec(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no rendition"):
        RenditionSpec.parse_canonical(text)
