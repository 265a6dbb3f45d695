"""Encodes renditions: upright, in sRGB, with nothing but pixels."""

from __future__ import annotations

import io

from PIL import Image

from elastic_images.core.rendition_spec import Format
from elastic_images.imaging.colour import on_white

CONTENT_TYPES: dict[Format, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
}
_QUALITIES: dict[Format, int] = {"jpeg": 82, "webp": 80, "avif": 60}
_PROGRESSIVE_FROM = 1_000
"""Pixels of the longer side. Smaller ones are there before a first scan would help."""


def encode(image: Image.Image, kind: Format, quality: int | None) -> bytes:
    """The image as a file of this kind. Transparent parts become white in a JPEG."""
    if kind == "jpeg":
        image = on_white(image)
    image.info = {key: value for key, value in image.info.items() if key == "transparency"}
    quality = quality or _QUALITIES.get(kind, 0)
    made = io.BytesIO()
    if kind == "png":
        image.save(made, "PNG")
    elif kind == "jpeg":
        image.save(made, "JPEG", quality=quality, progressive=max(image.size) >= _PROGRESSIVE_FROM)
    elif kind == "webp":
        image.save(made, "WEBP", quality=quality, method=2)
    else:
        image.save(made, "AVIF", quality=quality, speed=10, max_threads=1)
    return made.getvalue()
