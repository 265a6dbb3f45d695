"""Colours of what browsers do not show, against the definitions of their spaces. tests/browser has the others."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image
from testing.coloured_images import COLOURS, inks, patches, saved
from testing.icc_profiles import ADOBE_RGB, P3, SRGB, cmyk_profile, rgb_profile, srgb_curve
from testing.image_samples import HEIC

from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.profiles import coded_profile, described_profile
from elastic_images.imaging.rendering import render

PLACES = [(16, 16), (48, 16), (80, 16), (16, 48), (48, 48), (80, 48)]
Colour = tuple[float, float, float]


def shown(body: bytes) -> list[tuple[int, ...]]:
    """The patches of a rendition of the same size."""
    with Image.open(io.BytesIO(render(body, RenditionSpec(format="png")).data)) as image:
        found = [image.convert("RGB").getpixel(place) for place in PLACES]
    return [colour for colour in found if isinstance(colour, tuple)]


def from_xyz(x: float, y: float, z: float) -> Colour:
    """sRGB of a colour seen under D50."""
    rows = (
        (3.1338561, -1.6168667, -0.4906146),
        (-0.9787684, 1.9161415, 0.0334540),
        (0.0719453, -0.2289914, 1.4052427),
    )
    lights = [min(max(a * x + b * y + c * z, 0.0), 1.0) for a, b, c in rows]
    red, green, blue = (
        255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055) for light in lights
    )
    return red, green, blue


def from_lab(light: float, a: float, b: float) -> Colour:
    y = (light + 16) / 116
    x, y, z = (
        value**3 if value > 6 / 29 else 3 * (6 / 29) ** 2 * (value - 4 / 29) for value in (y + a / 500, y, y - b / 200)
    )
    return from_xyz(0.9642 * x, y, 0.8249 * z)


def from_p3(red: int, green: int, blue: int) -> Colour:
    lights = [srgb_curve(value / 255) for value in (red, green, blue)]
    x, y, z = (sum(a * light for a, light in zip(row, lights, strict=True)) for row in P3)
    return from_xyz(x, y, z)


def assert_near(found: tuple[int, ...], wanted: Colour, levels: int = 3) -> None:
    assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= levels, f"{found} instead of {wanted}"


def test_a_tiff_with_a_profile() -> None:
    body = saved(patches(), "TIFF", icc_profile=rgb_profile(P3, srgb_curve))
    for found, colour in zip(shown(body), COLOURS, strict=True):
        assert_near(found, from_p3(*colour))


def test_a_tiff_of_inks_with_a_profile() -> None:
    image = patches("CMYK")
    body = saved(image, "TIFF", icc_profile=cmyk_profile(inks))
    for found, place in zip(shown(body), PLACES, strict=True):
        cmyk = image.getpixel(place)
        assert isinstance(cmyk, tuple)
        cyan, magenta, yellow, black = (ink / 255 for ink in cmyk)
        assert_near(found, from_lab(*inks(cyan, magenta, yellow, black)), levels=4)  # its table has nine steps


def test_a_heic_with_a_profile() -> None:
    with Image.open(
        io.BytesIO(render((HEIC / "display-p3.heic").read_bytes(), RenditionSpec(format="png")).data)
    ) as one:
        found = one.convert("RGB").getpixel((32, 24))
    assert isinstance(found, tuple)
    assert_near(found, from_p3(235, 60, 35), levels=6)


@pytest.mark.parametrize(
    ("mode", "values", "wanted"),
    [
        ("F", [0.0, 0.5, 1.0], [0, 128, 255]),
        ("F", [0.0, 100.0, 200.0], [0, 100, 200]),
        ("F", [-10.0, 0.0, 10.0], [0, 128, 255]),
        ("F", [0.0, 40_000.0, 65_535.0], [0, 156, 255]),
        ("I", [0, 1, 255], [0, 1, 255]),
        ("I", [0, 30_000, 65_535], [0, 117, 255]),
        ("I", [-100_000, 0, 100_000], [0, 128, 255]),
        ("I;16", [0, 30_000, 65_535], [0, 117, 255]),
    ],
)
def test_wide_and_real_numbers_in_a_tiff(mode: str, values: list[float], wanted: list[int]) -> None:
    letter = {"F": "f", "I": "i", "I;16": "H"}[mode]
    image = Image.frombytes(mode, (3, 1), struct.pack(f"<3{letter}", *values)).resize(
        (96, 64), Image.Resampling.NEAREST
    )
    assert [found[0] for found in shown(saved(image, "TIFF"))[:3]] == pytest.approx(wanted, abs=1)


def test_a_space_by_its_code_points_is_that_of_its_profile() -> None:
    coded = coded_profile(12, 13)
    assert coded
    assert shown(saved(patches(), "TIFF", icc_profile=coded)) == shown(
        saved(patches(), "TIFF", icc_profile=rgb_profile(P3, srgb_curve))
    )
    assert coded_profile(1, 13) is None
    assert coded_profile(9, 16) is None, "HDR is shown as it is"
    assert coded_profile(77, 13) is None


def test_a_space_by_its_description_is_that_of_its_profile() -> None:
    adobe = ((0.3127, 0.3290), (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
    described = described_profile(adobe, 2.19921875)
    assert described
    embedded = rgb_profile(ADOBE_RGB, lambda value: value**2.19921875)
    for one, other in zip(
        shown(saved(patches(), "PNG", icc_profile=described)),
        shown(saved(patches(), "PNG", icc_profile=embedded)),
        strict=True,
    ):
        assert_near(one, (float(other[0]), float(other[1]), float(other[2])), levels=1)
    assert described_profile(((0.0, 0.0),) * 4, 2.2) is None


def test_srgb_stays_as_it_is() -> None:
    for found, colour in zip(
        shown(saved(patches(), "TIFF", icc_profile=rgb_profile(SRGB, srgb_curve))), COLOURS, strict=True
    ):
        assert_near(found, (float(colour[0]), float(colour[1]), float(colour[2])), levels=1)
