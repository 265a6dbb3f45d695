"""Decides what an image is: every frame must decode, in a supported format and within bounds."""

from __future__ import annotations

from elastic_images.imaging.decoding import decode_frames, decoder_errors
from elastic_images.imaging.formats import FORMATS, Buffer, damaged
from elastic_images.imaging.header import read_header
from elastic_images.imaging.imaging import Picture
from elastic_images.imaging.limits import Limits

DEFAULT_LIMITS = Limits()


def inspect(data: Buffer, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decode every frame of `data`.

    Raises:
        EmptyBody: no bytes.
        NotAnImage: an unsupported format, or an unsupported kind of a supported one.
        BrokenImage: the image does not decode completely.
        TooLarge: it has too many pixels or frames.
        MemoryError: it may be an image, but there is not enough memory to tell.
    """
    header = read_header(data)
    limits.check(header)
    kind = header.format
    with decoder_errors(kind):
        frames = decode_frames(header, data)
    if frames != header.frames:
        raise damaged(kind, f"{frames} of {header.frames} frames decode")
    return Picture(kind, FORMATS[kind], header.width, header.height, frames, damaged_tail=not header.whole)
