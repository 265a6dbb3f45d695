"""What an image is: bytes that decode, every frame, as one of a few formats and within bounds."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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

from elastic_images.core.errors import BrokenImage, ElasticImagesError, EmptyBody, NotAnImage, Unavailable
from elastic_images.imaging.structure import FORMATS, Buffer, gif_frames, is_whole, sniff

MAX_FRAMES = 10_000
"""An animation of tiny frames costs time without costing pixels."""
_SUPPORTED = "JPEG, PNG, GIF, WebP, AVIF, TIFF and BMP"


@dataclass(frozen=True, slots=True)
class Picture:
    """What decoding found. Width and height are those of the first frame, as stored (EXIF rotation left aside)."""

    format: str
    content_type: str
    width: int
    height: int
    frames: int


class ImageInspector:
    """Decodes what claims to be an image. Safe to share between threads; at most `max_decodes` decode at a time.

    Making one turns Pillow's warnings into errors in this process: it warns of damage that it works around.
    """

    def __init__(self, *, max_pixels: int, max_decodes: int, max_wait_seconds: float = 20.0) -> None:
        self._max_pixels = max_pixels
        self._places = threading.BoundedSemaphore(max_decodes)
        self._max_wait_seconds = max_wait_seconds
        warnings.filterwarnings("error", module=r"PIL\.")
        # ... and of TIFF tags with more values than one, which many scanners write and which cost no pixel.
        warnings.filterwarnings("ignore", message="Metadata Warning", module=r"PIL\.")
        # Pillow's own bound is a second net below ours; it must not be the tighter one.
        Image.MAX_IMAGE_PIXELS = max(max_pixels, Image.MAX_IMAGE_PIXELS or 0)

    def inspect(self, data: Buffer) -> Picture:
        """Decode every frame of `data`.

        Raises:
            EmptyBody: no bytes.
            NotAnImage: bytes of another kind.
            BrokenImage: they do not decode whole, or there are too many pixels or frames.
            Unavailable: all places are taken, or there is no memory.
        """
        if not len(data):
            raise EmptyBody("The upload is empty.")
        kind = sniff(data)
        if kind is None:
            raise NotAnImage(f"These bytes are no image: {_SUPPORTED} are stored.")
        with self.place():
            try:
                return self._decode(kind, data)
            except ElasticImagesError:
                raise
            except MemoryError as error:
                raise Unavailable("There is no memory to decode this image.", retry_after_seconds=5) from error
            except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
                raise self._too_many_pixels(kind) from error
            except Exception as error:  # Pillow raises whatever its parsers stumble over
                raise BrokenImage(f"This {kind} image is broken or cut off: {_reason(error)}.") from error

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places for decoding. Raises Unavailable after a while without one."""
        if not self._places.acquire(timeout=self._max_wait_seconds):
            raise Unavailable("Too many images are being checked at this moment.", retry_after_seconds=2)
        try:
            yield
        finally:
            self._places.release()

    def _decode(self, kind: str, data: Buffer) -> Picture:
        announced = _announced_frames(kind, data)
        if announced > MAX_FRAMES:
            raise BrokenImage(f"This {kind} image has more than {MAX_FRAMES} frames.")
        if kind == "PNG":
            with open_image(kind, data) as image:
                image.verify()  # the checksums; Pillow has nothing of the kind for other formats
        with open_image(kind, data) as image:
            width, height = image.size
            announced = announced or (getattr(image, "n_frames", 1) if kind != "TIFF" else 0)
            self._check_pixels(kind, width * height * max(announced, 1))
            image.draft(None, (1, 1))
            frames = self._load_frames(kind, image)
        if frames != (announced or frames):
            raise BrokenImage(f"This {kind} image is broken or cut off: {frames} of {announced} frames decode.")
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
        return BrokenImage(f"This {kind} image has more than {self._max_pixels:,} pixels, its frames counted.")


class _BaseJpeg(JpegImagePlugin.JpegImageFile):
    """The JPEG itself: what every viewer shows. Neither damaged EXIF nor further pictures behind it matter."""

    def _read_dpi_from_exif(self) -> None:
        """Leave EXIF alone: it is read here for nothing but a resolution that nobody asks for."""


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
    """Read the header only. The one decoder of `kind` is asked, whatever else the bytes could be taken for."""
    if isinstance(data, bytes):
        return _PLUGINS[kind](io.BytesIO(data))
    data.seek(0)
    return _PLUGINS[kind](cast(IO[bytes], data))


def _announced_frames(kind: str, data: Buffer) -> int:
    """The frames of a GIF by its blocks; 0 where only the decoder knows.

    Raises:
        BrokenImage: its end is missing.
    """
    frames = gif_frames(data) if kind == "GIF" else 0
    if frames is None or not is_whole(kind, data):
        raise BrokenImage(f"This {kind} image is broken or cut off: its structure does not reach its end.")
    return frames


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")[:200]
