"""Windows bitmaps (BITMAPINFOHEADER and its relatives)."""

from __future__ import annotations

import struct

from elastic_images.imaging.formats import Buffer, damaged
from elastic_images.imaging.headers.facts import Header

_FIELDS = struct.Struct("<10xI4xii2xHI")
_CORE_FIELDS = struct.Struct("<18xHH2xH")
_CORE_HEADER, _COLOUR_HEADER = 12, 108
_PLAIN = (0, 3)


def read(data: Buffer) -> Header:
    """The header of a bitmap; see `read_header`. All rows of an uncompressed one must be there."""
    header_bytes = int.from_bytes(data[14:18], "little")
    if header_bytes == _CORE_HEADER:
        width, height, bits = _CORE_FIELDS.unpack(data[: _CORE_FIELDS.size])
        offset = expected = int.from_bytes(data[10:14], "little")
        compression = 0
    else:
        offset, width, height, bits, compression = _FIELDS.unpack(data[: _FIELDS.size])
        expected = offset
    width, height = abs(width), abs(height)
    if compression in _PLAIN:
        row_bytes = (width * bits + 31) // 32 * 4
        # The last row's padding is no pixel.
        expected = offset + row_bytes * (height - 1) + (width * bits + 7) // 8
        if expected > len(data):
            raise damaged("BMP", "its end is missing")
    return Header(
        "BMP",
        width,
        height,
        samples=1 if bits <= 8 else bits / 8,
        has_extras=header_bytes >= _COLOUR_HEADER or expected + 8 < len(data),
    )
