"""What decoding an image takes, estimated by its header.

Bytes and nanoseconds for each pixel were measured with Pillow 13 on images of 8 and 24 megapixels, noise and bombs
(`python -m benchmarks.imaging_memory`); the bytes are the peak of the address space, since that is what is limited.
Estimates are rather too high: a job that gets too little fails, and runs again with more.
"""

from __future__ import annotations

import math

from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.admission import LIGHT_BYTES, MEGABYTE, Cost
from elastic_images.imaging.headers.facts import Header

MAX_PLACEHOLDER_PIXELS = 25_000_000
"""Of a larger PNG, which is inspected without being loaded, no placeholder is made."""
_BASE_BYTES = 6 * MEGABYTE
_MARGIN = 1.15
_LIGHT_SECONDS = 0.25
_DECODED_BYTES = 4
"""A pixel of Pillow's."""
_INSPECT_BYTES = {
    "JPEG": 0.3,
    "PNG": 0.3,
    "GIF": 1.1,
    "WEBP": 13.0,
    "AVIF": 11.0,
    "HEIF": 14.0,
    "TIFF": 6.0,
    "BMP": 4.5,
}
_NANOSECONDS = {"JPEG": 3, "PNG": 7, "GIF": 6, "WEBP": 22, "AVIF": 22, "HEIF": 45, "TIFF": 12, "BMP": 5}
_SCAN_NANOSECONDS = 4
_ENCODE_BYTES, _AVIF_BYTES = 20, 42
_ENCODE_NANOSECONDS, _AVIF_NANOSECONDS = 75, 110


def cost_of(header: Header, size_bytes: int, spec: RenditionSpec | None = None) -> Cost:
    """What it takes to inspect an image of this size in bytes, or to make the rendition."""
    pixels = header.largest_pixels
    held = _INSPECT_BYTES[header.format] * pixels
    seconds = _NANOSECONDS[header.format] * (header.total_pixels if spec is None else pixels) * 1e-9
    if header.format == "JPEG" and header.progressive:
        held += 2 * math.ceil(header.samples) * pixels
        seconds += _SCAN_NANOSECONDS * header.scans * pixels * 1e-9
    if header.format == "JPEG" and not header.whole:
        # It is decoded twice and compared, in full size.
        held += 3 * _DECODED_BYTES * pixels + 3 * size_bytes
        seconds += 60 * pixels * 1e-9
    if header.frames > 1:
        # Frames are drawn over each other.
        held += {"GIF": 3, "WEBP": 1.5, "AVIF": 1.5}.get(header.format, 0) * _DECODED_BYTES * pixels
    if header.format == "TIFF":
        held += header.samples * header.bits / 8 * pixels
    if header.format == "PNG":
        held += 2 * size_bytes
        if spec is None and pixels <= MAX_PLACEHOLDER_PIXELS:
            held += (_DECODED_BYTES if header.samples == 3 else 2 * _DECODED_BYTES) * pixels
            seconds *= 2
    if spec is not None:
        made = _made_pixels(header, spec)
        # A JPEG is decoded in the smallest of four sizes that has enough pixels.
        decoded = min(pixels, 4 * made) if header.format == "JPEG" else pixels
        plain = header.format in ("JPEG", "AVIF", "HEIF", "TIFF", "BMP") or header.samples == 3
        held += decoded * _DECODED_BYTES * (1 if plain else 2)
        is_avif = spec.format == "avif" or (spec.format is None and header.format == "AVIF")
        held += made * (_AVIF_BYTES if is_avif else _ENCODE_BYTES)
        seconds += made * (_AVIF_NANOSECONDS if is_avif else _ENCODE_NANOSECONDS) * 1e-9
    needed = int(_BASE_BYTES + held * _MARGIN)
    return Cost(needed, heavy=needed > LIGHT_BYTES or seconds > _LIGHT_SECONDS)


def _made_pixels(header: Header, spec: RenditionSpec) -> int:
    """The pixels of a rendition, at most."""
    wide, high = header.width, header.height
    across = spec.width or (spec.height or high) * wide // high
    down = spec.height or (spec.width or wide) * high // wide
    if spec.width and spec.height:
        # The image may stand on its side.
        across = down = max(across, down)
        if spec.fit == "inside":
            across, down = (math.ceil(side * across / max(wide, high)) for side in (wide, high))
    return min(header.largest_pixels, across * down)
