"""Positions are removed from files, and nothing else."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL.PngImagePlugin import PngInfo
from testing.image_samples import drawing, encoded
from testing.located_images import SECRETS, XMP, exif

from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.inspection import inspect
from elastic_images.imaging.location import without_location
from elastic_images.imaging.rendering import render


def shown(data: bytes) -> bytes:
    return render(data, RenditionSpec(format="png")).data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"exif"}), ("JPEG", {"xmp"}), ("JPEG", {"exif", "xmp"}), ("PNG", {"exif"}), ("WEBP", {"exif", "xmp"}),
        ("AVIF", {"exif", "xmp"}), ("TIFF", {"exif"}),
    ],
)  # fmt: skip
def test_it_is_removed_and_all_else_stays(kind: str, options: set[str], order: str) -> None:
    given: dict[str, Any] = {"exif": exif(order), "xmp": XMP}
    data = encoded(kind, **{name: given[name] for name in options})
    before = inspect(data)
    assert before.has_location
    cleaned = without_location(data, before.location_patches)
    after = inspect(cleaned)
    assert (after.has_location, len(cleaned), shown(cleaned)) == (False, len(data), shown(data))
    assert (after.orientation, after.taken_at) == (before.orientation, before.taken_at)
    assert not [secret for secret in SECRETS if secret in cleaned]
    if "xmp" in options:
        assert b"at home" in cleaned


def test_every_picture_in_a_file_loses_it() -> None:
    stream = io.BytesIO()
    drawing().save(stream, "MPO", save_all=True, append_images=[drawing(seed=1)], exif=exif())
    data = stream.getvalue() + encoded("JPEG", exif=exif())
    cleaned = without_location(data, inspect(data).location_patches)
    assert b"Berlin" in data
    assert b"Berlin" not in cleaned


@pytest.mark.parametrize("compressed", [False, True])
def test_the_text_of_a_png_is_read(compressed: bool) -> None:
    text, stream = PngInfo(), io.BytesIO()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=compressed)
    drawing().save(stream, "PNG", pnginfo=text)
    before = inspect(stream.getvalue())
    assert before.has_location
    after = inspect(without_location(stream.getvalue(), before.location_patches))
    assert after.has_location is compressed  # compressed text stays as it is


def test_files_without_one_are_left_alone() -> None:
    assert inspect(encoded("JPEG")).location_patches == ()
