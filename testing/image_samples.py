"""A small image of every format and kind that is taken, for tests."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw

from testing.odd_images import interlaced_png

SIZE = (37, 29)
HEIC = Path(__file__).with_name("heic")
"""Files that only an encoder under the GPL writes (pillow-heif's x265)."""


def drawing(mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Noise and a figure: every row and every frame has bytes of its own."""
    image = Image.effect_noise(SIZE, 60).convert("RGB")
    ImageDraw.Draw(image).ellipse((5, 5, 20, 20), fill=(200, seed * 20, 30))
    return image.convert(mode)


def encoded(kind: str, mode: str = "RGB", *, more: int = 0, **options: object) -> bytes:
    """The drawing as a file, with so many frames more."""
    stream = io.BytesIO()
    if more:
        options |= {"save_all": True, "append_images": [drawing(mode, seed + 1) for seed in range(more)]}
    drawing(mode).save(stream, kind, **options)
    return stream.getvalue()


def exif(**tags: int | str) -> Image.Exif:
    """EXIF with a description, and an orientation if one is given."""
    found = Image.Exif()
    found[0x010E] = "a secret place"
    if "orientation" in tags:
        found[0x0112] = tags["orientation"]
    return found


SAMPLES: dict[str, tuple[str, int, bytes]] = {
    "jpeg": ("JPEG", 1, encoded("JPEG")),
    "jpeg-progressive": ("JPEG", 1, encoded("JPEG", progressive=True)),
    "jpeg-grey": ("JPEG", 1, encoded("JPEG", "L")),
    "jpeg-cmyk": ("JPEG", 1, encoded("JPEG", "CMYK")),
    "jpeg-restarts": ("JPEG", 1, encoded("JPEG", restart_marker_rows=1)),
    "png": ("PNG", 1, encoded("PNG")),
    "png-bits": ("PNG", 1, encoded("PNG", "1")),
    "png-interlaced": ("PNG", 1, interlaced_png(drawing())),
    "png-animated": ("PNG", 3, encoded("PNG", more=2)),
    "gif": ("GIF", 1, encoded("GIF", "P")),
    "gif-animated": ("GIF", 3, encoded("GIF", "P", more=2)),
    "webp": ("WEBP", 1, encoded("WEBP")),
    "webp-lossless": ("WEBP", 1, encoded("WEBP", "RGBA", lossless=True)),
    "webp-animated": ("WEBP", 3, encoded("WEBP", more=2)),
    "webp-exif": ("WEBP", 1, encoded("WEBP", exif=exif())),
    "avif": ("AVIF", 1, encoded("AVIF", speed=10)),
    "avif-animated": ("AVIF", 2, encoded("AVIF", more=1, speed=10)),
    "heic": ("HEIF", 1, (HEIC / "drawing.heic").read_bytes()),
    "bmp": ("BMP", 1, encoded("BMP")),
    "bmp-bits": ("BMP", 1, encoded("BMP", "1")),
    "bmp-palette": ("BMP", 1, encoded("BMP", "P")),
    "tiff": ("TIFF", 1, encoded("TIFF")),
    "tiff-lzw": ("TIFF", 1, encoded("TIFF", compression="tiff_lzw")),
    "tiff-jpeg": ("TIFF", 1, encoded("TIFF", compression="jpeg")),
    "tiff-fax": ("TIFF", 1, encoded("TIFF", "1", compression="group4")),
    "tiff-pages": ("TIFF", 2, encoded("TIFF", more=1)),
}
"""By name: the format, the number of frames, and the file."""
