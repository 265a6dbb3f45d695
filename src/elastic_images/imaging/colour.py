"""Colours as a browser shows them: 8 bits a channel, in sRGB."""

from __future__ import annotations

import io
from functools import cache

from PIL import Image, ImageChops, ImageCms

from elastic_images.imaging.profiles import coded_profile, described_profile

_WIDE = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_SRGB_GAMMA, _NO_GAMMA = 0.45455, 0.001
_MAX_8, _MAX_16 = 255, 65_535
_SPACES = {"L": "GRAY", "LA": "GRAY", "RGB": "RGB ", "RGBA": "RGB ", "CMYK": "CMYK"}


def to_8_bits(image: Image.Image) -> Image.Image:
    """An image that can be resized: no palette, no bits, no wide or real numbers.

    Whole numbers of 16 bits are scaled by their range; those of 32 bits and real numbers by what the picture has,
    unless it lies within 0 to 1, 255 or 65,535.
    """
    mode = image.mode
    if mode in _WIDE:
        # Pillow computes with the machine's own order of bytes only.
        own = image if mode == "I;16" else image.convert("I")
        scaled = own.point(lambda value: value * (_MAX_8 / _MAX_16) + 0.5).convert("L")
        see_through = image.info.get("transparency")
        if isinstance(see_through, int):
            solid = [value != see_through and _MAX_8 for value in range(_MAX_16 + 1)]
            scaled.putalpha(image.convert("I").point(solid, "L"))
        return scaled
    if mode in ("I", "F"):
        return _scaled(image)
    if mode in ("RGBa", "La"):
        return image.convert({"RGBa": "RGBA", "La": "LA"}[mode])
    if mode == "1":
        return image.convert("L")
    if mode in ("P", "PA"):
        see_through = mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if see_through else "RGB")
    if mode in ("L", "RGB") and "transparency" in image.info:
        return _with_alpha(image)
    if mode in ("YCbCr", "HSV"):
        return image.convert("RGB")
    return image


def profile_of(image: Image.Image, coding: tuple[int, int] | None) -> bytes | None:
    """The profile of an opened image that has the colour space `coding` by its header; None for sRGB.

    As in browsers, cICP of a PNG comes before its profile, that before sRGB, and that before gAMA and cHRM.
    """
    info = image.info
    coded = coded_profile(*coding) if coding else None
    embedded: bytes | None = info.get("icc_profile")
    if embedded or coding:
        return (coded or embedded) if image.format == "PNG" else (embedded or coded)
    gamma, points = info.get("gamma"), info.get("chromaticity")
    if not gamma or "srgb" in info or (points is None and abs(gamma - _SRGB_GAMMA) < _NO_GAMMA):
        return None
    return described_profile(tuple(zip(points[::2], points[1::2], strict=True)) if points else None, 1 / gamma)


def to_srgb(image: Image.Image, profile: bytes | None, *, like_chromium: bool) -> Image.Image:
    """An image of `to_8_bits` as L, LA, RGB or RGBA in sRGB. A damaged or unfitting profile counts as none.

    `like_chromium`: as it shows CMYK with a profile: black is mixed into the other inks before the profile sees them.
    """
    if image.mode == "LAB":
        return ImageCms.profileToProfile(  # type: ignore[return-value] # None only with inPlace
            image, ImageCms.createProfile("LAB"), _srgb(), outputMode="RGB"
        )
    if profile and like_chromium and image.mode == "CMYK":
        inks = ImageChops.invert(image.convert("RGB")).split()
        image = Image.merge("CMYK", (*inks, Image.new("L", image.size)))
    converted = _converted(image, profile) if profile else None
    if converted is not None:
        return converted
    # Without a profile, browsers take the product of ink and black, as Pillow does.
    return image.convert("RGB") if image.mode == "CMYK" else image


def on_white(image: Image.Image) -> Image.Image:
    """An opaque image, for formats without transparency."""
    if image.mode not in ("LA", "RGBA"):
        return image
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")


def _converted(image: Image.Image, profile: bytes) -> Image.Image | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space
        if space == "RGB " and image.mode in ("L", "LA"):
            image = image.convert("RGB" if image.mode == "L" else "RGBA")
        if space != _SPACES.get(image.mode):
            return None
        alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
        plain = image.convert(image.mode.removesuffix("A")) if alpha else image
        intent = ImageCms.Intent.PERCEPTUAL if space == "CMYK" else ImageCms.Intent.RELATIVE_COLORIMETRIC
        done = ImageCms.profileToProfile(plain, source, _srgb(), renderingIntent=intent, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    if done is not None and alpha is not None:
        done.putalpha(alpha)
    return done


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _scaled(image: Image.Image) -> Image.Image:
    found = image.getextrema()
    low, high = float(found[0]), float(found[1])  # type: ignore[arg-type] # one band
    top = next((top for top in (1.0, _MAX_8, _MAX_16) if low >= 0 and high <= top), None)
    if image.mode == "I" and top == 1:
        top = _MAX_8
    start, span = (0.0, top) if top else (low, high - low or 1.0)
    factor = _MAX_8 / span
    rounding = 0.5 if image.mode == "I" else 0.0
    return image.point(lambda value: value * factor + (rounding - start * factor)).convert("L")


def _with_alpha(image: Image.Image) -> Image.Image:
    try:
        return image.convert("LA" if image.mode == "L" else "RGBA")
    except (ValueError, TypeError, IndexError):
        return image
