"""What metadata tells about an image: orientation, place, time, profile, transparency."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageCms
from testing.image_samples import SAMPLES, drawing, encoded, exif

from elastic_images.imaging.imaging import Picture
from elastic_images.imaging.inspection import inspect

SHOWN_AS_STORED = ("WEBP",)
"""Formats whose EXIF orientation browsers ignore."""


def camera_exif(**parts: dict[Any, Any]) -> Image.Exif:
    found = exif()
    for name, tags in parts.items():
        found.get_ifd(ExifTags.IFD[name]).update(tags)
    return found


def tagged(**parts: dict[Any, Any]) -> Picture:
    return inspect(encoded("JPEG", exif=camera_exif(**parts)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_sizes_are_those_displayed(kind: str, orientation: int) -> None:
    found = inspect(encoded(kind, exif=exif(orientation=orientation)))
    turned = orientation if kind not in SHOWN_AS_STORED else 1
    assert (found.stored_width, found.stored_height, found.orientation) == (37, 29, turned)
    assert (found.width, found.height) == ((29, 37) if turned >= 5 else (37, 29))


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_has_a_placeholder(name: str) -> None:
    found = inspect(SAMPLES[name][2])
    assert found.thumbhash
    assert (found.has_location, found.taken_at) == (False, None)


def png(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def test_a_turned_image_has_a_turned_placeholder() -> None:
    stored = drawing().crop((0, 0, 32, 24))
    upright = stored.transpose(Image.Transpose.ROTATE_270)
    assert inspect(png(stored, exif=exif(orientation=6))).thumbhash == inspect(png(upright)).thumbhash


def test_a_position_is_noticed() -> None:
    place = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (52.0, 31.0, 0.0)}
    assert tagged(GPSInfo=place).has_location
    assert not tagged(GPSInfo={ExifTags.GPS.GPSVersionID: b"\2\3\0\0"}).has_location
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><exif:GPSLatitude>52,31N</exif:GPSLatitude></x:xmpmeta>'
    assert inspect(encoded("WEBP", xmp=xmp)).has_location


@pytest.mark.parametrize(
    ("time", "offset", "expected"),
    [
        ("2026:05:01 12:30:00", "+02:00", "2026-05-01T12:30:00+02:00"),
        ("2026:05:01 12:30:00", "east", "2026-05-01T12:30:00"),
        ("0000:00:00 00:00:00", "", None),
        ("yesterday", "", None),
    ],
)
def test_the_time_is_the_cameras(time: str, offset: str, expected: str | None) -> None:
    tags = {ExifTags.Base.DateTimeOriginal: time, ExifTags.Base.OffsetTimeOriginal: offset}
    assert tagged(Exif=tags).taken_at == expected


def test_profiles_have_names() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert inspect(encoded("JPEG", icc_profile=profile)).colour_profile == "sRGB built-in"
    assert inspect(encoded("JPEG", icc_profile=b"no profile")).colour_profile is None
    assert inspect(encoded("JPEG")).colour_profile is None


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA")])
def test_transparency_is_noticed(kind: str, mode: str) -> None:
    image, stream = drawing().convert(mode), io.BytesIO()
    image.putalpha(100)
    image.save(stream, kind)
    assert inspect(stream.getvalue()).has_alpha
    assert not inspect(encoded(kind)).has_alpha


def test_damaged_exif_says_nothing() -> None:
    found = inspect(encoded("JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))
    assert (found.orientation, found.has_location, found.taken_at) == (1, False, None)
