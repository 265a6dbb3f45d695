"""STRIP_LOCATION: uploads lose their position, or are refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL.PngImagePlugin import PngInfo
from testing.image_samples import drawing, encoded
from testing.located_images import XMP, exif
from testing.storage_parts import Parts

from elastic_images.core.errors import BrokenImage


@pytest.fixture
def stripping(parts: Parts) -> Parts:
    parts.writes._strip_location = True
    return parts


def test_uploads_lose_it_and_say_so(stripping: Parts) -> None:
    data = encoded("JPEG", exif=exif())
    facts, _ = stripping.put("a", data)
    assert (facts.has_location, facts.location_removed, facts.size_bytes) == (False, True, len(data))
    assert b"Berlin" not in stripping.bytes_of("a")
    plain = encoded("JPEG")
    assert stripping.put("b", plain)[0].location_removed is False
    assert stripping.bytes_of("b") == plain


def test_what_cannot_lose_it_is_refused(stripping: Parts, tmp_path: Path) -> None:
    stream = io.BytesIO()
    hidden = PngInfo()
    hidden.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
    drawing().save(stream, "PNG", pnginfo=hidden)
    with pytest.raises(BrokenImage, match="remove it first"):
        stripping.put("a", stream.getvalue())
    assert not list((tmp_path / "objects").rglob("*.*"))
