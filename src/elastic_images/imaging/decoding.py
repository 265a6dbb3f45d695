"""Opens images with the decoder of their format, as tolerant of harmless damage as browsers are, and not more.

Whoever imports this loads Pillow.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO, Any, cast

import pi_heif
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageChops,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from elastic_images.core.errors import ElasticImagesError
from elastic_images.imaging.colour import to_8_bits
from elastic_images.imaging.formats import Buffer, damaged, not_supported
from elastic_images.imaging.headers import png
from elastic_images.imaging.headers.facts import Header

_ORIENTATION = 0x0112
_TURNED_BY_EXIF = frozenset({"JPEG", "PNG", "AVIF"})
"""Pillow gives AVIF's own turn as EXIF. Browsers ignore EXIF in WebP. The decoders of TIFF and HEIF turn."""
_END = b"\xff\xd9"
_SCAN = b"\xff\xda"
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_FILLERS = (b"\x00" * 256, b"\xaa" * 256)
_UNSUPPORTED = re.compile(r"(un|not )supported|unknown (pixel mode|data organization|compression)", re.IGNORECASE)


class _BaseJpeg(JpegImagePlugin.JpegImageFile):
    """The JPEG that every viewer shows. Ignores damaged EXIF and further pictures behind it."""

    def _read_dpi_from_exif(self) -> None:
        """Do not read EXIF: Pillow only wants the resolution from it, which is not needed."""


_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": _BaseJpeg,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}


@contextmanager
def decoder_errors(kind: str) -> Iterator[None]:
    """Turn what decoders raise into NotAnImage and BrokenImage. MemoryError passes: it says nothing of the image."""
    try:
        yield
    except (ElasticImagesError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).rstrip(".")[:200] or type(error).__name__
        if _UNSUPPORTED.search(reason) or (kind == "TIFF" and isinstance(error.__cause__ or error, KeyError)):
            raise not_supported(f"a {kind} image of a kind that is not supported ({reason})") from error
        raise damaged(kind, reason) from error


def open_image(header: Header, data: Buffer) -> Image.Image:
    """Open an image with the decoder of its format only. HEIF is decoded at once, the others when they are loaded."""
    _prepare()
    kind = header.format
    if kind == "HEIF":
        return _decoded_heif(data)
    if kind == "JPEG" and not header.whole:
        return _without_end(data)
    if kind == "PNG":
        return _opened_png(header, data)
    return _PLUGINS[kind](_stream(data))


def decode_frames(header: Header, data: Buffer, look: Callable[[Image.Image], object]) -> int:
    """Decode every frame, one at a time, and give their number. Cheaper than loading them where a format allows it.

    Where frames are loaded, `look` gets the first one.
    """
    if header.format == "PNG":
        png.check(data, header)
        with open_image(header, data):
            return header.frames
    with open_image(header, data) as image:
        if header.format in ("WEBP", "AVIF"):
            return _decode_in_place(image, look)
        # A JPEG is decoded in an eighth of its size: all of it is read, and next to none of it is kept.
        cast("ImageFile.ImageFile", image).draft(None, (1, 1))
        frames = 0
        while True:
            image.load()
            if not frames:
                look(image)
            frames += 1
            try:
                image.seek(frames)
            except EOFError:
                return frames


def loaded(image: Image.Image) -> Image.Image:
    """The pixels of an opened image's first frame.

    Those of a WebP are libwebp's own, in mode RGBX or RGBA: Pillow would copy them while libwebp still holds more.
    """
    if not isinstance(image, WebPImagePlugin.WebPImageFile):
        image.load()
        return image
    found = image._decoder.get_next()  # noqa: SLF001
    if found is None:
        raise damaged("WEBP", "its first frame does not decode")
    mode = image.rawmode
    del image._decoder  # noqa: SLF001
    decoded = Image.frombuffer(mode, image.size, found[0], "raw", mode, 0, 1)
    decoded.info = image.info
    return decoded


def orientation_of(image: Image.Image, kind: str) -> int:
    """How an opened image must be turned to be upright, 1 to 8, as browsers judge it (EXIF, tag 274)."""
    if kind not in _TURNED_BY_EXIF or not image.info.get("exif"):
        return 1
    exif = Image.Exif()
    try:
        exif.load(image.info["exif"])
        found = exif.get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF makes Pillow raise all kinds of errors, but the image is fine
        return 1
    return int(found) if found in range(1, 9) else 1


def _decode_in_place(image: Any, look: Callable[[Image.Image], object]) -> int:
    """The frames of a WebP or AVIF, by its library and without an image of Pillow's for any but the first."""
    for number in range(image.n_frames):
        found = image._decoder.get_next() if image.format == "WEBP" else image._decoder.get_frame(number)  # noqa: SLF001
        if found is None:
            raise damaged(image.format, f"{number} of {image.n_frames} frames decode")
        if number == 0:
            mode = image.rawmode if image.format == "WEBP" else image.mode
            first = Image.frombuffer(mode, image.size, found[0], "raw", mode, 0, 1)
            first.info = image.info
            look(first)
    return int(image.n_frames)


def _decoded_heif(data: Buffer) -> Image.Image:
    found = pi_heif.open_heif(_stream(data), convert_hdr_to_8bit=True)
    return cast("Image.Image", found[found.primary_index].to_pillow())


def _opened_png(header: Header, data: Buffer) -> Image.Image:
    file, corner = png.for_decoder(data)
    image = PngImagePlugin.PngImageFile(_stream(file))
    if corner is None or image.size == (header.width, header.height):
        return image
    canvas = Image.new("RGBA", (header.width, header.height))
    canvas.paste(to_8_bits(image).convert("RGBA"), corner)
    canvas.info, canvas.format = image.info, "PNG"
    return canvas


def _without_end(data: Buffer) -> Image.Image:
    """A JPEG without its end marker. Raises BrokenImage if pixels are missing as well.

    libjpeg fills what is missing without a word. So it decodes twice, with different bytes behind the last one: if any
    of them became pixels, the pictures differ.
    """
    # An interval that is missing as a whole would be skipped unless its restart marker is there.
    restarts = len(_RESTART.findall(data, data.rfind(_SCAN)))
    fillers = [filler + bytes([0xFF, 0xD0 + restarts % 8]) + filler for filler in _FILLERS]
    first, second = (_BaseJpeg(io.BytesIO(data[:] + filler + _END)) for filler in fillers)
    with second:
        if ImageChops.difference(first, second).getbbox() is not None:
            raise damaged("JPEG", "its end is missing")
    return _BaseJpeg(io.BytesIO(data[:] + _END))


def _stream(data: Buffer) -> IO[bytes]:
    if isinstance(data, bytes):
        return io.BytesIO(data)
    data.seek(0)
    return cast(IO[bytes], data)


@cache
def _prepare() -> None:
    """Set the libraries up, once in a process."""
    # Pillow only warns of damage that it works around.
    warnings.filterwarnings("error", module=r"PIL\.")
    # Except for TIFF tags with several values, which many scanners write and which cost no pixel.
    warnings.filterwarnings("ignore", message="Metadata Warning", module=r"PIL\.")
    Image.MAX_IMAGE_PIXELS = None  # our own limits are checked before
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    pi_heif.options.DECODE_THREADS = 1
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
