"""What a file says about its image beside the pixels, and a placeholder of them.

Whoever imports this loads Pillow. Nothing here fails because of odd metadata: what cannot be read is not there.
"""

from __future__ import annotations

import base64
import io
import re
from typing import Any, TypedDict

from PIL import ExifTags, Image, ImageCms

from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.costs import MAX_PLACEHOLDER_PIXELS
from elastic_images.imaging.decoding import orientation_of
from elastic_images.imaging.geometry import SIDEWAYS
from elastic_images.imaging.headers.facts import Header
from elastic_images.imaging.location import XMP_POSITION
from elastic_images.imaging.rendering import draw
from elastic_images.imaging.thumbhash import MAX_SIDE, thumbhash

_PLACEHOLDER = RenditionSpec(MAX_SIDE, MAX_SIDE)
_SAMPLED_SIDE = 8 * MAX_SIDE
_MAX_NAME = 64
_TAKEN = re.compile(r"(\d{4}):(\d\d):(\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"[+-]\d\d:\d\d")


class Details(TypedDict):
    """Fields of `imaging.Picture`."""

    width: int
    height: int
    stored_width: int
    stored_height: int
    orientation: int
    has_alpha: bool
    has_location: bool
    colour_profile: str | None
    taken_at: str | None
    thumbhash: str | None


def details_of(opened: Image.Image, header: Header, *, is_decoded: bool) -> Details:
    """The details of an opened image; what is not decoded yet is decoded for its placeholder only if it is small."""
    exif = _exif(opened)
    has_placeholder = is_decoded or header.largest_pixels <= MAX_PLACEHOLDER_PIXELS
    turn = orientation_of(opened, header.format)
    # The decoders of TIFF and HEIF turn by themselves.
    stored = opened.info.get("original_orientation") or 1 if header.format == "HEIF" else max(header.orientation, turn)
    size = (header.width, header.height)
    shown = opened.size if header.format == "HEIF" else size[::-1] if stored >= SIDEWAYS else size
    return Details(
        width=shown[0],
        height=shown[1],
        stored_width=header.width,
        stored_height=header.height,
        orientation=stored,
        has_alpha=opened.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in opened.info,
        has_location=_has_location(opened, exif),
        colour_profile=_profile_name(opened.info.get("icc_profile")),
        taken_at=_taken_at(exif),
        thumbhash=_thumbhash(opened, header) if has_placeholder else None,
    )


def _exif(image: Image.Image) -> Image.Exif:
    exif = Image.Exif()
    try:
        if image.format == "TIFF":
            return image.getexif()
        exif.load(image.info.get("exif", b""))
        exif.get(0)
    except Exception:  # noqa: BLE001 - damaged EXIF makes Pillow raise all kinds of errors
        return Image.Exif()
    return exif


def _part(exif: Image.Exif, part: ExifTags.IFD) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(part))
    except Exception:  # noqa: BLE001 - as above
        return {}


def _has_location(image: Image.Image, exif: Image.Exif) -> bool:
    place = _part(exif, ExifTags.IFD.GPSInfo)
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    xmp = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    return ExifTags.GPS.GPSLatitude in place or XMP_POSITION.search(xmp) is not None


def _taken_at(exif: Image.Exif) -> str | None:
    tags = _part(exif, ExifTags.IFD.Exif)
    found = _TAKEN.fullmatch(str(tags.get(ExifTags.Base.DateTimeOriginal, "")).strip("\0 "))
    if not found or found[1] == "0000":
        return None
    year, month, day, hour, minute, second = found.groups()
    offset = str(tags.get(ExifTags.Base.OffsetTimeOriginal, "")).strip("\0 ")
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}{offset if _OFFSET.fullmatch(offset) else ''}"


def _profile_name(profile: bytes | None) -> str | None:
    if not profile:
        return None
    try:
        found = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    name = "".join(character for character in found if character.isprintable()).strip()
    return name[:_MAX_NAME] or "unnamed"


def _thumbhash(image: Image.Image, header: Header) -> str | None:
    try:
        image.load()
        if max(image.size) > _SAMPLED_SIDE:
            # Single pixels, so that neither another mode nor a smaller size needs a second copy of the image.
            scale = _SAMPLED_SIDE / max(image.size)
            size = tuple(max(1, round(side * scale)) for side in image.size)
            sampled = image.resize(size, Image.Resampling.NEAREST)  # type: ignore[arg-type] # a pair
            sampled.info = image.info
            image = sampled
        small, _, _ = draw(image, header, _PLACEHOLDER)
        return base64.b64encode(thumbhash(*small.size, small.convert("RGBA").tobytes())).decode()
    except Exception:  # noqa: BLE001 - an image without a placeholder is an image all the same
        return None
