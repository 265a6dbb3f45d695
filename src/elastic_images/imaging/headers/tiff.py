"""TIFF (revision 6.0, and BigTIFF): directories, pages, and camera RAW files that look like TIFF."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from elastic_images.imaging.formats import Buffer, damaged, not_supported
from elastic_images.imaging.headers.facts import Header

MAX_PAGES = 100_000
"""How far directories are followed; the setting MAX_FRAMES is smaller."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _MAKE = 256, 257, 258, 259, 262, 271
_SAMPLES, _SUB_IFDS, _EXIF, _DNG, _XMP, _IPTC, _ICC, _PHOTOSHOP = 277, 330, 34665, 50706, 700, 33723, 34675, 34377
_ORIENTATION = 274
_FILTER_ARRAY, _LINEAR_RAW = 32803, 34892
_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_MAX_VALUES = 64
_RAW_NAMES = {
    b"NIKON": "a Nikon RAW file (NEF)",
    b"SONY": "a Sony RAW file (ARW)",
    b"PENTAX": "a Pentax RAW file (PEF)",
}


def read(data: Buffer) -> Header:
    """The header of a TIFF; see `read_header`. Raises NotAnImage for camera RAW files."""
    if data[8:10] == b"CR":
        raise not_supported("a Canon RAW file (CR2)")
    if data[:4] == b"MM\0+":
        raise not_supported("a BigTIFF in big-endian order")  # Pillow reads only the other order
    directories = _Directories(data)
    offset, seen = directories.first, set[int]()
    first: dict[int, tuple[int, ...]] | None = None
    largest = total = frames = 0
    samples, bits = 1, 8
    while offset and offset not in seen and frames < MAX_PAGES:
        seen.add(offset)
        try:
            tags, offset = directories.read(offset)
        except (IndexError, struct.error):
            if first is None:
                raise
            raise damaged("TIFF", "a page is missing") from None
        _refuse_raw(tags, directories)
        pixels = tags[_WIDTH][0] * tags[_HEIGHT][0]
        largest, total, frames = max(largest, pixels), total + pixels, frames + 1
        samples = max(samples, tags.get(_SAMPLES, (1,))[0])
        bits = max(bits, *tags.get(_BITS, (1,)))
        first = first or tags
    if first is None:
        raise damaged("TIFF", "it has no pages")
    turned = first.get(_ORIENTATION, (1,))[0]
    return Header(
        "TIFF",
        first[_WIDTH][0],
        first[_HEIGHT][0],
        frames,
        largest,
        total,
        samples=samples,
        bits=bits,
        has_extras=True,
        orientation=turned if 1 <= turned <= 8 else 1,
    )


def _refuse_raw(tags: dict[int, tuple[int, ...]], directories: _Directories) -> None:
    if _DNG in tags:
        raise not_supported("a camera RAW file (DNG)")
    below = [directories.try_read(offset) for offset in tags.get(_SUB_IFDS, ())]
    if any({_FILTER_ARRAY, _LINEAR_RAW} & {*one.get(_PHOTOMETRIC, ())} for one in (tags, *below)):
        make = bytes(tags.get(_MAKE, ()))
        raise not_supported(
            next((name for start, name in _RAW_NAMES.items() if make.startswith(start)), "a camera RAW file")
        )


@dataclass
class _Directories:
    """The directories of a file, by offset."""

    data: Buffer

    def __post_init__(self) -> None:
        self._order = "<" if self.data[:1] == b"I" else ">"
        self._big = self.data[2 if self._order == "<" else 3] == 43
        self.first = self._unpack("Q", 8)[0] if self._big else self._unpack("I", 4)[0]

    def try_read(self, offset: int) -> dict[int, tuple[int, ...]]:
        """The tags of a directory that may be damaged."""
        try:
            return self.read(offset)[0]
        except (IndexError, struct.error):
            return {}

    def read(self, offset: int) -> tuple[dict[int, tuple[int, ...]], int]:
        """The whole numbers and texts among a directory's tags, up to 64 values each, and the next one's offset."""
        count_format, entry_bytes, inline = ("Q", 20, 8) if self._big else ("H", 12, 4)
        count = self._unpack(count_format, offset)[0]
        start = offset + (8 if self._big else 2)
        if start + count * entry_bytes > len(self.data):
            raise IndexError(offset)
        tags: dict[int, tuple[int, ...]] = {}
        for entry in range(start, start + min(count, 4096) * entry_bytes, entry_bytes):
            tag, kind, values = self._unpack("HHQ" if self._big else "HHI", entry)
            letter = _TYPES.get(kind)
            if letter is None or not values:
                continue
            place = entry + (12 if self._big else 8)
            if values * struct.calcsize(letter) > inline:
                place = self._unpack("Q" if self._big else "I", place)[0]
            try:
                tags[tag] = self._unpack(f"{min(values, _MAX_VALUES)}{letter}", place)
            except struct.error:
                continue  # the decoder judges what lies outside the file
        following = start + count * entry_bytes
        return tags, self._unpack("Q" if self._big else "I", following)[0]

    def _unpack(self, fields: str, offset: int) -> tuple[int, ...]:
        layout = struct.Struct(self._order + fields)
        return layout.unpack(self.data[offset : offset + layout.size])
