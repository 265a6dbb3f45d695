"""Decides what an image is: every frame must decode, in a supported format and within bounds."""

from __future__ import annotations

import io
import warnings
from typing import IO, cast

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from elastic_images.core.errors import BrokenImage, ElasticImagesError, EmptyBody, NotAnImage
from elastic_images.imaging.imaging import Picture
from elastic_images.imaging.structure import FORMATS, Buffer, gif_frames, is_whole, sniff

MAX_FRAMES = 10_000
"""Animations of tiny frames cost time but few pixels, so the pixel limit does not bound them."""
_SUPPORTED = "JPEG, PNG, GIF, WebP, AVIF, TIFF and BMP"


def inspect(data: Buffer, max_pixels: int) -> Picture:
    """See `ImageInspector.inspect`."""
    return ImageInspector(max_pixels=max_pixels).inspect(data)


class ImageInspector:
    """Decodes uploads.

    Making one turns Pillow's warnings into errors in this process: Pillow only warns of damage that it works around.
    """

    def __init__(self, *, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        warnings.filterwarnings("error", module=r"PIL\.")
        # Except for TIFF tags with several values, which many scanners write and which cost no pixel.
        warnings.filterwarnings("ignore", message="Metadata Warning", module=r"PIL\.")
        # Pillow's own limit is only a safety net; it must not be stricter than ours.
        Image.MAX_IMAGE_PIXELS = max(max_pixels, Image.MAX_IMAGE_PIXELS or 0)

    def inspect(self, data: Buffer) -> Picture:
        """Decode every frame of `data`.

        Raises:
            EmptyBody: no bytes.
            NotAnImage: an unsupported format.
            BrokenImage: the image does not decode completely, or has too many pixels or frames.
            MemoryError: memory is short.
        """
        if not len(data):
            raise EmptyBody("The upload is empty.")
        kind = sniff(data)
        if kind is None:
            raise NotAnImage(f"Unsupported format: upload {_SUPPORTED}.")
        try:
            return self._decode(kind, data)
        except (ElasticImagesError, MemoryError):
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise self._too_many_pixels(kind) from error
        except Exception as error:  # Pillow's parsers raise all kinds of errors
            raise BrokenImage(f"This {kind} image is damaged or truncated: {_reason(error)}.") from error

    def _decode(self, kind: str, data: Buffer) -> Picture:
        announced = _announced_frames(kind, data)
        if announced > MAX_FRAMES:
            raise BrokenImage(f"This {kind} image has more than {MAX_FRAMES} frames.")
        if kind == "PNG":
            with open_image(kind, data) as image:
                image.verify()  # checks the CRCs; Pillow has no such check for other formats
        with open_image(kind, data) as image:
            width, height = image.size
            announced = announced or (getattr(image, "n_frames", 1) if kind != "TIFF" else 0)
            self._check_pixels(kind, width * height * max(announced, 1))
            image.draft(None, (1, 1))
            frames = self._load_frames(kind, image)
        if frames != (announced or frames):
            raise BrokenImage(f"This {kind} image is damaged or truncated: {frames} of {announced} frames decode.")
        return Picture(kind, FORMATS[kind], width, height, frames)

    def _load_frames(self, kind: str, image: ImageFile.ImageFile) -> int:
        frames = pixels = 0
        while True:
            pixels += image.width * image.height
            frames += 1
            self._check_pixels(kind, pixels)
            if frames > MAX_FRAMES:
                raise BrokenImage(f"This {kind} image has more than {MAX_FRAMES} frames.")
            image.load()
            try:
                image.seek(frames)
            except EOFError:
                return frames

    def _check_pixels(self, kind: str, pixels: int) -> None:
        if pixels > self._max_pixels:
            raise self._too_many_pixels(kind)

    def _too_many_pixels(self, kind: str) -> BrokenImage:
        return BrokenImage(f"This {kind} image has more than {self._max_pixels:,} pixels over all frames.")


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


def open_image(kind: str, data: Buffer) -> ImageFile.ImageFile:
    """Open an image with the decoder of `kind` only. Reads just the header."""
    if isinstance(data, bytes):
        return _PLUGINS[kind](io.BytesIO(data))
    data.seek(0)
    return _PLUGINS[kind](cast(IO[bytes], data))


def _announced_frames(kind: str, data: Buffer) -> int:
    """The number of frames by a GIF's blocks; 0 for formats where only the decoder knows.

    Raises:
        BrokenImage: its end is missing.
    """
    frames = gif_frames(data) if kind == "GIF" else 0
    if frames is None or not is_whole(kind, data):
        raise BrokenImage(f"This {kind} image is damaged or truncated: its end is missing.")
    return frames


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")[:200]
