"""Flat patches in every colour space and format, for comparing renditions with a browser's view of the original."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

from testing.icc_profiles import ADOBE_RGB, P3, cmyk_profile, grey_profile, rgb_profile, srgb_curve
from testing.image_samples import exif
from testing.odd_images import chunk, grey16_png, interlaced_png, with_chunks

SIZE = (96, 64)
COLOURS = ((235, 60, 35), (40, 160, 90), (30, 60, 200), (128, 128, 128), (250, 240, 20), (90, 20, 120))
"""Of six patches, three in a row."""


_FINE: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95},
    "AVIF": {"quality": 90, "speed": 10},
    "WEBP": {"lossless": True},
}


class Coloured(NamedTuple):
    """One file, and whether its encoding changes colours a little."""

    name: str
    content_type: str
    body: bytes
    lossy: bool = False


def patches(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """The patches. In CMYK the colours are the first three inks, with some black."""
    image = Image.new("RGB", size)
    width, height = size[0] // 3, size[1] // 2
    for number, colour in enumerate(COLOURS):
        left, top = number % 3 * width, number // 3 * height
        image.paste(colour, (left, top, left + width, top + height))
    if mode == "CMYK":
        return Image.merge("CMYK", (*image.split(), Image.new("L", size, 40)))
    if mode in ("RGBA", "LA"):
        image = image.convert(mode)
        image.putalpha(Image.new("L", size, 255))
        image.paste(0, (0, 0, width, height))
        return image
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image as a file, of high quality."""
    stream = io.BytesIO()
    image.save(stream, kind, **(_FINE.get(kind, {}) | options))
    return stream.getvalue()


def inks(cyan: float, magenta: float, yellow: float, black: float) -> tuple[float, float, float]:
    """The colour of some printer's inks in Lab."""
    light = (100 - 45 * cyan - 50 * magenta - 8 * yellow) * (1 - black)
    return max(light, 0.0), (70 * magenta - 35 * cyan) * (1 - black), (90 * yellow - 45 * cyan) * (1 - black)


def coloured() -> Iterator[Coloured]:
    """The table."""
    kinds = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "AVIF": "image/avif"}
    profiles = {
        "p3": rgb_profile(P3, srgb_curve),
        "adobe": rgb_profile(ADOBE_RGB, lambda value: value**2.19921875),
        "none": None,
    }
    lossy = ("JPEG", "AVIF")
    for kind, content_type in kinds.items():
        for name, profile in profiles.items():
            yield Coloured(f"{kind} {name}", content_type, saved(patches(), kind, icc_profile=profile), kind in lossy)
        for orientation in range(1, 9):
            body = saved(patches(), kind, exif=exif(orientation=orientation))
            yield Coloured(f"{kind} turned {orientation}", content_type, body, kind in lossy)
    yield Coloured("JPEG damaged profile", "image/jpeg", saved(patches(), "JPEG", icc_profile=b"none" * 50), lossy=True)
    grey = grey_profile(lambda value: value**1.8)
    for kind in ("JPEG", "PNG"):
        yield Coloured(f"{kind} grey", kinds[kind], saved(patches("L"), kind), kind == "JPEG")
        yield Coloured(f"{kind} grey 1.8", kinds[kind], saved(patches("L"), kind, icc_profile=grey), kind == "JPEG")
        body = saved(patches("L"), kind, icc_profile=profiles["p3"])
        yield Coloured(f"{kind} grey with a profile for RGB", kinds[kind], body, kind == "JPEG")
    yield Coloured("JPEG RGB with a grey profile", "image/jpeg", saved(patches(), "JPEG", icc_profile=grey), lossy=True)
    for name, profile in (("none", None), ("ink", cmyk_profile(inks))):
        body = saved(patches("CMYK"), "JPEG", icc_profile=profile)
        yield Coloured(f"JPEG CMYK {name}", "image/jpeg", body, lossy=True)
        # Without Adobe's marker, values are still inverted for browsers.
        yield Coloured(f"JPEG CMYK {name} without a marker", "image/jpeg", without_adobe(body), lossy=True)
    yield Coloured("PNG grey 16", "image/png", grey16_png([20_000, 30_000, 60_000], SIZE))
    yield Coloured("PNG RGB 16", "image/png", rgb16_png())
    yield Coloured("PNG interlaced", "image/png", interlaced_png(patches()))
    yield Coloured("PNG bits", "image/png", saved(patches("L").point(lambda value: value > 90, "1"), "PNG"))
    for mode in ("RGBA", "LA"):
        yield Coloured(f"PNG {mode}", "image/png", saved(patches(mode), "PNG"))
    yield Coloured("WEBP RGBA", "image/webp", saved(patches("RGBA"), "WEBP"))
    yield Coloured("AVIF RGBA", "image/avif", saved(patches("RGBA"), "AVIF"), lossy=True)
    palette = patches().quantize(6)
    yield Coloured("PNG palette", "image/png", saved(palette, "PNG"))
    yield Coloured("PNG palette p3", "image/png", saved(palette, "PNG", icc_profile=profiles["p3"]))
    yield Coloured("PNG palette see-through", "image/png", saved(palette, "PNG", transparency=2))
    yield Coloured("PNG RGB see-through", "image/png", saved(patches(), "PNG", transparency=COLOURS[1]))
    yield Coloured("GIF", "image/gif", saved(palette, "GIF"))
    yield Coloured("GIF see-through", "image/gif", saved(palette, "GIF", transparency=2))
    yield Coloured("BMP", "image/bmp", saved(patches(), "BMP"))
    plain = saved(patches(), "PNG")
    for name, more in {
        "gamma 1": chunk(b"gAMA", struct.pack(">I", 100_000)),
        "gamma .45": chunk(b"gAMA", struct.pack(">I", 45_455)),
        "chrm": chunk(b"gAMA", struct.pack(">I", 45_455))
        + chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
        "sRGB": chunk(b"sRGB", b"\0"),
        "cicp p3": chunk(b"cICP", bytes([12, 13, 0, 1])),
    }.items():
        yield Coloured(f"PNG {name}", "image/png", with_chunks(plain, more))
    avif = saved(patches(), "AVIF")
    nclx = avif.index(b"nclx") + 4
    yield Coloured(
        "AVIF nclx p3", "image/avif", avif[:nclx] + struct.pack(">HH", 12, 13) + avif[nclx + 4 :], lossy=True
    )


def without_adobe(jpeg: bytes) -> bytes:
    """A JPEG without Adobe's marker."""
    start = jpeg.index(b"\xff\xee")
    return jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big") :]


def rgb16_png() -> bytes:
    """The patches in 16 bits a channel."""
    image = patches()
    width, height = image.size
    pixels = image.tobytes()
    rows = [pixels[3 * width * y : 3 * width * (y + 1)] for y in range(height)]
    wide = b"".join(b"\0" + b"".join(bytes([value, 200 - value // 2]) for value in row) for row in rows)
    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return header + chunk(b"IDAT", zlib.compress(wide)) + chunk(b"IEND", b"")
