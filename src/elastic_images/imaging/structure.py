"""Recognises formats by their first bytes, and finds truncated files by their structure.

Pillow stops reading once it has all pixels, so it accepts some truncated files. For the formats where that was
observed, this module looks for the end.
"""

from __future__ import annotations

import mmap
import re
import struct

Buffer = bytes | mmap.mmap

FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
}
"""The supported formats, by Pillow's names, with their content types."""

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_BMP_FIELDS = struct.Struct("<10xI4xii2xHI")
_BMP_CORE_HEADER = 12
_BMP_CORE_BYTES = 26
_BMP_PLAIN = (0, 3)
_JPEG_END, _JPEG_SCAN = 0xD9, 0xDA
_JPEG_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
# The marker after entropy-coded data: FF 00 is a data byte, FF D0 to FF D7 are restarts, FF FF is padding.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def sniff(data: Buffer) -> str | None:
    """The format by the magic number; None if it is none of `FORMATS`."""
    start = data[:16]
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    if start.startswith(_TIFF_STARTS):
        return "TIFF"
    if start[4:8] == b"ftyp" and _AVIF_BRANDS & _brands(data):
        return "AVIF"
    if start.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    return None


def gif_frames(data: Buffer) -> int | None:
    """The number of frames in the blocks of a GIF (GIF89a, section 12); None if the trailer is missing."""
    try:
        position = 13 + _table_bytes(data[10])
        frames = 0
        while (block := data[position]) != 0x3B:
            if block == 0x2C:
                frames += 1
                position += 11 + _table_bytes(data[position + 9])
            elif block == 0x21:
                position += 2
            else:
                return None
            while count := data[position]:
                position += count + 1
            position += 1
    except IndexError:
        return None
    return frames


def is_whole(kind: str, data: Buffer) -> bool:
    """Whether the structure of a file reaches its end. True for formats whose decoder checks that itself."""
    return kind not in _WHOLE or _WHOLE[kind](data)


def _jpeg_is_whole(data: Buffer) -> bool:
    """Whether the segments of a JPEG (ITU-T T.81, B.1) reach its end marker."""
    position = 2
    while (position := data.find(b"\xff", position)) >= 0 and position + 1 < len(data):
        marker = data[position + 1]
        if marker == _JPEG_END:
            return True
        if marker in (0x00, 0xFF):  # stray bytes and padding: skip to the next marker, as decoders do
            position += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
            if marker == _JPEG_SCAN:
                found = _JPEG_MARKER.search(data, position)
                position = found.start() if found else len(data)
    return False


def _png_is_whole(data: Buffer) -> bool:
    """Whether the chunks of a PNG (ISO/IEC 15948, 5.3) reach the end of its IEND."""
    position, size = 8, len(data)
    while position + 12 <= size:
        kind = data[position + 4 : position + 8]
        position += 12 + int.from_bytes(data[position : position + 4], "big")
        if kind == b"IEND":
            return position <= size
    return False


def _bmp_is_whole(data: Buffer) -> bool:
    """Whether an uncompressed bitmap has all its rows, including the padding of the last one."""
    if len(data) < _BMP_FIELDS.size or int.from_bytes(data[14:18], "little") == _BMP_CORE_HEADER:
        return len(data) >= _BMP_CORE_BYTES
    offset, width, height, bits, compression = _BMP_FIELDS.unpack_from(data)
    if compression not in _BMP_PLAIN:
        return True
    row_bytes = (abs(width) * bits + 31) // 32 * 4
    return int(offset + row_bytes * abs(height)) <= len(data)


_WHOLE = {"JPEG": _jpeg_is_whole, "PNG": _png_is_whole, "BMP": _bmp_is_whole}


def _table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _brands(data: Buffer) -> frozenset[bytes]:
    """Major and compatible brands of a file type box (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(data[:4], "big"), 512)
    box = bytes(data[8:end])
    return frozenset(box[place : place + 4] for place in range(0, len(box), 4) if place != 4)
