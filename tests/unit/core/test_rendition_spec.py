"""How a rendition's spec is written into names of caches."""

from __future__ import annotations

import pytest

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.rendition_spec import RenditionSpec

SPECS = {
    "": RenditionSpec(),
    "width=320&height=320": RenditionSpec(320, 320),
    "height=9&fit=cover&gravity=north&format=webp&quality=80": RenditionSpec(None, 9, "cover", "north", "webp", 80),
}


@pytest.mark.parametrize("text", SPECS)
def test_the_canonical_text_and_back(text: str) -> None:
    assert SPECS[text].canonical == text
    assert RenditionSpec.parse_canonical(text) == SPECS[text]


@pytest.mark.parametrize("text", ["thumb", "width=x", "width=0320", "height=1&width=1", "width=1&more=2", "fit=inside"])
def test_other_texts_are_no_spec(text: str) -> None:
    with pytest.raises(InvalidRequest):
        RenditionSpec.parse_canonical(text)
