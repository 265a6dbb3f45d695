"""Finds the bytes of an image file that say where it was taken, and what to write over them.

EXIF keeps positions in a directory of its own (CIPA DC-008, 4.6.6), XMP in properties named `exif:GPS...`. Both are
overwritten in place: no byte moves, so that pixels, other pictures in the file, and all that refers to offsets stay.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from elastic_images.imaging.formats import Buffer
from elastic_images.imaging.headers import png

Patch = tuple[int, str]
"""An offset, and the bytes to write there in hexadecimal digits, as they travel between processes."""

_EXIF = re.compile(rb"Exif\0\0(?=II\*\0|MM\0\*)")
_WEBP_EXIF = re.compile(rb"EXIF.{4}(?=II\*\0|MM\0\*)", re.DOTALL)
_XMP = re.compile(
    rb"""\sexif:GPS\w+\s*=\s*(?:"[^"<]{0,4000}"|'[^'<]{0,4000}')|<(exif:GPS\w+)>[^<]{0,4000}</\1>""",
)
XMP_POSITION = re.compile(rb"GPS(Latitude|Longitude)")
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_MAX_XMP_BYTES = 1_000_000
_GPS = 0x8825
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_ENTRY_BYTES, _INLINE_BYTES = 12, 4
_MAX_DIRECTORIES, _MAX_ENTRIES, _MAX_GPS_ENTRIES, _MAX_VALUE_BYTES = 1000, 1000, 64, 4096
_MAX_PATCHES = 500


def location_patches(kind: str, data: Buffer) -> list[Patch]:
    """What removes the position from a file of that format (`formats.FORMATS`).

    Empty if none is found, and for files that repeat positions more often than any camera or program does.
    """
    starts = {found.end() for found in _EXIF.finditer(data)}
    if kind == "TIFF":
        starts.add(0)
    if kind == "WEBP":
        starts |= {found.end() for found in _WEBP_EXIF.finditer(data)}
    chunks = list(png.chunks(data)) if kind == "PNG" else []
    starts |= {chunk.start for chunk in chunks if chunk.kind == b"eXIf"}
    found = chain(
        (patch for start in sorted(starts) for patch in _gps_directories(data, start)),
        ((text.start(), b" " * len(text[0])) for text in _XMP.finditer(data)),
    )
    patches = list(islice(found, _MAX_PATCHES + 1))
    if len(patches) > _MAX_PATCHES:
        return []
    for chunk in chunks:
        inside = [(offset - chunk.start, new) for offset, new in patches if chunk.start <= offset < chunk.end]
        if inside:
            content = bytearray(data[chunk.start : chunk.end])
            _overwrite(content, inside)
            patches.append((chunk.end, struct.pack(">I", zlib.crc32(content, zlib.crc32(chunk.kind)))))
    return [(offset, new.hex()) for offset, new in patches]


def is_in_png_text(data: Buffer) -> bool:
    """Whether the XMP of a PNG says it, compressed or not. Decoders are not given these chunks."""
    texts = (data[chunk.start : chunk.end] for chunk in png.chunks(data) if chunk.kind == b"iTXt")
    return any(XMP_POSITION.search(_xmp(text)) for text in texts if text.startswith(_XMP_KEYWORD))


def _xmp(text: bytes) -> bytes:
    """The XMP in the payload of an iTXt chunk (ISO/IEC 15948, 11.3.4.5), as far as it can be read."""
    start = len(_XMP_KEYWORD)
    content = text[start + 2 :].split(b"\0", 2)[-1]
    if text[start : start + 1] != b"\1":
        return content
    try:
        return zlib.decompressobj().decompress(content, _MAX_XMP_BYTES)
    except zlib.error:
        return b""


def without_location(data: bytes, patches: Iterable[Patch]) -> bytes:
    """The file with the patches applied."""
    made = bytearray(data)
    _overwrite(made, ((offset, bytes.fromhex(new)) for offset, new in patches))
    return bytes(made)


def _overwrite(data: bytearray, patches: Iterable[tuple[int, bytes]]) -> None:
    for offset, new in patches:
        data[offset : offset + len(new)] = new


def _gps_directories(data: Buffer, start: int) -> Iterator[tuple[int, bytes]]:
    """Zeros for each GPS directory of the TIFF structure at `start`, and for the values that it refers to."""
    order = "<" if data[start : start + 1] == b"I" else ">"
    offset, seen = _number(data, start + 4, order, 4), set[int]()
    while offset and offset not in seen and len(seen) < _MAX_DIRECTORIES:
        seen.add(offset)
        entries = _entries(data, start, offset, order)
        for tag, _, _, value in entries:
            if tag == _GPS:
                yield from _zeros(data, start, _number(data, value, order, 4), order)
        offset = _number(data, start + offset + 2 + len(entries) * _ENTRY_BYTES, order, 4)


def _zeros(data: Buffer, start: int, offset: int, order: str) -> Iterator[tuple[int, bytes]]:
    entries = _entries(data, start, offset, order)[:_MAX_GPS_ENTRIES]
    for _, kind, count, value in entries:
        length = _TYPE_BYTES.get(kind, 1) * count
        if _INLINE_BYTES < length <= _MAX_VALUE_BYTES:
            place = start + _number(data, value, order, 4)
            yield from _blank(data, place, length)
    # With no entries left, it is a valid and empty directory.
    yield from _blank(data, start + offset, 2 + len(entries) * _ENTRY_BYTES)


def _blank(data: Buffer, place: int, length: int) -> Iterator[tuple[int, bytes]]:
    if place > 0 and place + length <= len(data):
        yield place, bytes(length)


def _entries(data: Buffer, start: int, offset: int, order: str) -> list[tuple[int, int, int, int]]:
    """Tag, type, count and the place of the value, for each entry of a directory."""
    count = min(_number(data, start + offset, order, 2), _MAX_ENTRIES)
    places = [start + offset + 2 + number * _ENTRY_BYTES for number in range(count)]
    return [
        (*struct.unpack(order + "HHI", data[place : place + 8]), place + 8)
        for place in places
        if place + _ENTRY_BYTES <= len(data)
    ]


def _number(data: Buffer, place: int, order: str, length: int) -> int:
    return int.from_bytes(data[place : place + length], "little" if order == "<" else "big")
