"""Renditions of every kind of image that is stored."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from elastic_images.core.renditions import PRESETS
from elastic_images.imaging.imaging import Rendition
from elastic_images.imaging.rendering import render

SIZE = (720, 480)


def encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    picture = Image.linear_gradient("L").resize(SIZE)
    image = (picture if mode in ("I;16", "F") else picture.convert("RGB")).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(picture)
    image.save(stream, kind, **options)
    return stream.getvalue()


def thumb(body: bytes) -> tuple[Rendition, Image.Image]:
    made = render(body, PRESETS["thumb"])
    image = Image.open(io.BytesIO(made.data))
    image.load()
    assert (made.width, made.height) == image.size
    return made, image


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "RGB"),
        ("PNG", "1"),
        ("PNG", "P"),
        ("PNG", "I;16"),
        ("GIF", "P"),
        ("WEBP", "RGB"),
        ("AVIF", "RGB"),
        ("BMP", "RGB"),
        ("TIFF", "RGB"),
        ("TIFF", "CMYK"),
        ("TIFF", "LAB"),
        ("TIFF", "F"),
    ],
)
def test_every_kind_has_a_thumb(kind: str, mode: str) -> None:
    made, image = thumb(encoded(kind, mode))
    assert (made.content_type, image.format) == ("image/jpeg", "JPEG")
    assert image.size == (320, 213)


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA"), ("TIFF", "RGBA")])
def test_transparency_is_kept(kind: str, mode: str) -> None:
    made, image = thumb(encoded(kind, mode))
    assert (made.content_type, image.mode) == ("image/png", "RGBA")


def test_a_thumb_stands_upright_and_carries_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a secret place"
    _, image = thumb(encoded("JPEG", exif=exif))
    assert image.size == (213, 320)
    assert not image.getexif()


def test_damaged_exif_costs_the_orientation_only() -> None:
    body = encoded("JPEG")
    damaged = b"\xff\xe1\0\x14Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01"
    assert thumb(body[:2] + damaged + body[20:])[1].size == (320, 213)


def test_a_small_tiff_becomes_what_browsers_show() -> None:
    body = io.BytesIO()
    Image.new("RGB", (30, 20)).save(body, "TIFF")
    made, image = thumb(body.getvalue())
    assert (made.content_type, image.format, image.size) == ("image/jpeg", "JPEG", (30, 20))


def test_small_images_stay_as_they_are() -> None:
    body = io.BytesIO()
    Image.new("RGB", (30, 20)).save(body, "PNG")
    assert render(body.getvalue(), PRESETS["thumb"]) == Rendition(body.getvalue(), "image/png", 30, 20)
