"""AVIF and HEIF (ISO/IEC 14496-12 and 23008-12): boxes, items and tiles."""

from __future__ import annotations

from collections.abc import Iterator

from elastic_images.core.errors import BrokenImage
from elastic_images.imaging.formats import Buffer, damaged, not_supported
from elastic_images.imaging.headers.facts import Header, Parts

MAX_ITEMS = 1_000
"""Tiles, thumbnails, gain maps and metadata in a file. A 100 megapixel picture in tiles of 512 has 400."""

_CONTAINERS = frozenset({b"iprp", b"ipco", b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_HEIF_CODECS = frozenset({b"hvc1", b"hev1"})
_METADATA = frozenset({b"Exif", b"mime", b"uri "})
_TOP_LEVEL = frozenset({b"ftyp", b"meta", b"moov", b"mdat", *_CONTAINERS})
_TILE_TYPES = frozenset({b"grid", b"iovl", b"iden", b"tili"})
_CODEC_NAMES = {b"av01": "AV1", b"vvc1": "VVC", b"avc1": "H.264", b"jpeg": "JPEG", b"j2k1": "JPEG 2000"}

Box = tuple[bytes, int, int]
"""Its type, and where its content starts and ends."""


def read_avif(data: Buffer) -> Header:
    """The header of an AVIF; see `read_header`."""
    return _read(data, "AVIF")


def read_heif(data: Buffer) -> Header:
    """The header of a HEIF; see `read_header`. Raises NotAnImage if its pictures are not HEVC."""
    return _read(data, "HEIF")


def _read(data: Buffer, kind: str) -> Header:
    parts = Parts(kind)
    items = _Items(crops=kind == "HEIF")
    frames = 1
    for name, start, end in _boxes(data, 0, len(data), parts):
        if name == b"meta":
            items.read(data, start + 4, end, parts)
        elif name == b"moov" and kind == "AVIF":
            frames = max(frames, _samples(data, start, end, parts))
        items.has_extras = items.has_extras or name not in _TOP_LEVEL
    size, tiles = items.size_of(items.primary)
    if not size:
        raise damaged(kind, "its picture is not described")
    codec = items.codec
    if kind == "HEIF" and codec not in _HEIF_CODECS:
        raise not_supported(f"a HEIF image in {_CODEC_NAMES.get(codec, 'an unknown codec')}")
    return Header(
        kind,
        *size,
        frames,
        tiles,
        samples=3,
        bits=items.bits,
        coding=items.coding,
        has_extras=bool(_METADATA & {*items.types.values()}) or items.has_extras,
        lossless=False,
    )


class _Items:
    """The items of a meta box, their types and properties."""

    def __init__(self, *, crops: bool) -> None:
        self.crops = crops
        """Whether the decoder obeys a clean aperture (libheif does, Pillow's libavif does not)."""
        self.primary = 0
        self.types: dict[int, bytes] = {}
        self.codec = b""
        self.bits = 8
        self.coding: tuple[int, int] | None = None
        self.has_extras = False
        self._properties: list[tuple[bytes, bytes]] = []
        self._of_item: dict[int, list[int]] = {}
        self._tiles: dict[int, list[int]] = {}

    def read(self, data: Buffer, start: int, end: int, parts: Parts) -> None:
        """The content of a meta box."""
        for name, begin, stop in _boxes(data, start, end, parts):
            if name == b"pitm":
                self.primary = _number(data, begin + 4, 4 if data[begin] else 2)
            elif name == b"iinf":
                self._read_types(data, begin, stop, parts)
            elif name == b"iref":
                self._read_tiles(data, begin, stop, parts)
            elif name == b"ipco":
                for kind, first, last in _boxes(data, begin, stop, parts):
                    self._properties.append((kind, bytes(data[first : min(last, first + 16)])))
            elif name == b"ipma":
                self._read_associations(data, begin, parts)

    def size_of(self, item: int) -> tuple[tuple[int, int] | None, int]:
        """The size of an item, and the pixels that a decoder makes for it."""
        size = self._ispe(item)
        tiles = self._tiles.get(item, [])
        kinds = {self.types.get(one, b"") for one in tiles or [item]}
        self.codec = next(iter(kinds - _TILE_TYPES - {b""}), b"")
        sizes = [self._ispe(one) or (0, 0) for one in tiles]
        return size, sum(width * height for width, height in sizes)

    def _ispe(self, item: int) -> tuple[int, int] | None:
        size = None
        for index in self._of_item.get(item, []):
            kind, content = self._properties[index - 1] if 0 < index <= len(self._properties) else (b"", b"")
            if kind == b"ispe":
                size = int.from_bytes(content[4:8], "big"), int.from_bytes(content[8:12], "big")
            elif kind == b"clap" and self.crops:
                across, of_across, down, of_down = (int.from_bytes(content[at : at + 4], "big") for at in (0, 4, 8, 12))
                size = across // max(of_across, 1), down // max(of_down, 1)
            elif kind == b"pixi":
                self.bits = max(self.bits, *content[5:6])
            elif kind == b"colr" and content[:4] in (b"prof", b"rICC"):
                self.has_extras = True
            elif kind == b"colr" and content[:4] == b"nclx":
                self.coding = int.from_bytes(content[4:6], "big"), int.from_bytes(content[6:8], "big")
        return size

    def _read_types(self, data: Buffer, start: int, end: int, parts: Parts) -> None:
        for name, begin, _ in _boxes(data, start + (8 if data[start] else 6), end, parts):
            if name == b"infe":
                wide = data[begin] >= 3
                item = _number(data, begin + 4, 4 if wide else 2)
                at = begin + (10 if wide else 8)
                self.types[item] = bytes(data[at : at + 4])
                if len(self.types) > MAX_ITEMS:
                    raise BrokenImage(f"This image has more than {MAX_ITEMS:,} items: save it again as a new file.")

    def _read_tiles(self, data: Buffer, start: int, end: int, parts: Parts) -> None:
        width = 4 if data[start] else 2
        for name, begin, stop in _boxes(data, start + 4, end, parts):
            if name == b"dimg":
                item, count = _number(data, begin, width), _number(data, begin + width, 2)
                first = begin + width + 2
                count = min(count, (stop - first) // width)
                self._tiles[item] = [_number(data, first + place * width, width) for place in range(count)]

    def _read_associations(self, data: Buffer, start: int, parts: Parts) -> None:
        width, large = 4 if data[start] else 2, data[start + 3] & 1
        position = start + 8
        for _ in range(_number(data, start + 4, 4)):
            parts.next()
            item, count = _number(data, position, width), data[position + width]
            position += width + 1
            step, mask = (2, 0x7FFF) if large else (1, 0x7F)
            indexes = [_number(data, position + place * step, step) & mask for place in range(count)]
            self._of_item.setdefault(item, []).extend(indexes)
            position += count * step


def _samples(data: Buffer, start: int, end: int, parts: Parts) -> int:
    """The largest number of samples of a track."""
    tables = [begin for name, begin, _ in _boxes(data, start, end, parts) if name == b"stsz"]
    return max((_number(data, begin + 8, 4) for begin in tables), default=1)


def _boxes(data: Buffer, start: int, end: int, parts: Parts) -> Iterator[Box]:
    """The boxes of a part of the file, and those within pure containers."""
    while start + 8 <= end:
        parts.next()
        length, name, head = _number(data, start, 4), bytes(data[start + 4 : start + 8]), 8
        if length == 1:
            length, head = _number(data, start + 8, 8), 16
        stop = min(start + length, end) if length else end
        if stop < start + head:
            return
        yield name, start + head, stop
        if name in _CONTAINERS and name != b"ipco":
            yield from _boxes(data, start + head, stop, parts)
        start = stop


def _number(data: Buffer, start: int, length: int) -> int:
    found = data[start : start + length]
    if len(found) < length:
        raise IndexError(start)
    return int.from_bytes(found, "big")
