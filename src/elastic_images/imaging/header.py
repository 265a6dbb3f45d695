"""What an image says of itself, read without a decoder.

These facts decide whether an image is within bounds and how much memory it may take. They may lie: decoders check them
again. Reading costs little for any input: the number of steps is bounded, and no step copies more than a few kilobytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from elastic_images.core.errors import ElasticImagesError, EmptyBody
from elastic_images.imaging.formats import Buffer, damaged, kind_of
from elastic_images.imaging.headers import bmp, gif, isobmff, jpeg, png, tiff, webp
from elastic_images.imaging.headers.facts import Header

_READERS: dict[str, Callable[[Buffer], Header]] = {
    "JPEG": jpeg.read,
    "PNG": png.read,
    "GIF": gif.read,
    "WEBP": webp.read,
    "AVIF": isobmff.read_avif,
    "HEIF": isobmff.read_heif,
    "TIFF": tiff.read,
    "BMP": bmp.read,
}


def read_header(data: Buffer) -> Header:
    """The header of an image. Safe for any bytes, in any process.

    Raises:
        EmptyBody: no bytes.
        NotAnImage: an unsupported format.
        BrokenImage: the structure has holes, or more parts than any real image.
    """
    if not len(data):
        raise EmptyBody("The upload is empty.")
    kind = kind_of(data)
    try:
        header = _READERS[kind](data)
    except ElasticImagesError:
        raise
    except (IndexError, KeyError, ValueError, struct.error) as error:
        raise damaged(kind, "its header is incomplete") from error
    if header.width < 1 or header.height < 1:
        raise damaged(kind, "it has no pixels")
    return header
