"""Decides what an image is: every frame must decode, in a supported format and within bounds."""

from __future__ import annotations

from elastic_images.imaging.decoding import decode_frames, decoder_errors, open_image
from elastic_images.imaging.details import Details, details_of
from elastic_images.imaging.formats import FORMATS, Buffer, damaged
from elastic_images.imaging.header import read_header
from elastic_images.imaging.imaging import Picture
from elastic_images.imaging.limits import Limits
from elastic_images.imaging.location import is_in_png_text, location_patches

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
    found: list[Details] = []
    with decoder_errors(kind):
        frames = decode_frames(header, data, lambda first: found.append(details_of(first, header, is_decoded=True)))
        if frames != header.frames:
            raise damaged(kind, f"{frames} of {header.frames} frames decode")
        if not found:
            with open_image(header, data) as opened:
                found.append(details_of(opened, header, is_decoded=False))
    if kind == "PNG" and is_in_png_text(data):
        found[0]["has_location"] = True
    patches = location_patches(kind, data) if found[0]["has_location"] else ()
    return Picture(
        format=kind,
        content_type=FORMATS[kind],
        frames=frames,
        damaged_tail=not header.whole,
        location_patches=patches,
        **found[0],
    )
