"""Image files that Pillow does not write: bombs, interlaced PNGs, PNGs with chunks of any kind."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

from PIL import Image

PNG_MARK = b"\x89PNG\r\n\x1a\n"
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_COLOUR_TYPES = {"L": 0, "RGB": 2, "RGBA": 6}


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def scan_bomb(width: int, height: int, scans: int) -> bytes:
    """A grey progressive JPEG of which every scan but the first says nothing about all of its blocks."""
    blocks = -(-width // 8) * -(-height // 8)
    empty = _bits("0" + "1" * 14, -(-blocks // 32_767))  # runs of 32,767 blocks without coefficients
    return b"".join([
        b"\xff\xd8",
        segment(0xDB, b"\0" + bytes([1] * 64)),
        segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0"),
        segment(0xC4, b"\0" + bytes([1] + [0] * 15) + b"\0"),
        segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\xe0"),
        segment(0xDA, b"\x01\x01\0\0\0\0") + _bits("0", blocks),
        *[segment(0xDA, b"\x01\x01\0\x01\x3f\0") + empty] * (scans - 1),
        b"\xff\xd9",
    ])  # fmt: skip


def _bits(code: str, times: int) -> bytes:
    bits = code * times
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


def chunk(kind: bytes, content: bytes, *, checksum: int | None = None) -> bytes:
    """A chunk of a PNG."""
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png_header(width: int, height: int, *, bits: int = 8, colour: int = 2, interlaced: bool = False) -> bytes:
    """The start of a PNG."""
    return PNG_MARK + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced)))


def png_of(header: bytes, rows: bytes, *, before: Iterable[bytes] = (), pieces: int = 1) -> bytes:
    """A PNG of filtered rows, with more chunks before its pixels, these in several pieces."""
    stream = zlib.compress(rows)
    step = -(-len(stream) // pieces)
    parts = [chunk(b"IDAT", stream[start : start + step]) for start in range(0, len(stream), step)]
    return b"".join([header, *before, *parts, chunk(b"IEND", b"")])


def with_chunks(png: bytes, *more: bytes) -> bytes:
    """A PNG with more chunks behind its header."""
    return png[:33] + b"".join(more) + png[33:]


def interlaced_png(image: Image.Image) -> bytes:
    """An Adam7 PNG of an L, RGB or RGBA image."""
    width, height = image.size
    step = len(image.getbands())
    pixels = image.tobytes()
    rows = [pixels[y * width * step : (y + 1) * width * step] for y in range(height)]
    scattered = b"".join(
        b"\0" + b"".join(row[place : place + step] for place in range(x * step, width * step, across * step))
        for x, y, across, down in _ADAM7
        if x < width
        for row in rows[y::down]
    )
    return png_of(png_header(width, height, colour=_COLOUR_TYPES[image.mode], interlaced=True), scattered)


def grey16_png(values: Sequence[int], size: tuple[int, int]) -> bytes:
    """A PNG of 16-bit greys in vertical stripes."""
    width, height = size
    row = b"".join(struct.pack(">H", values[x * len(values) // width]) for x in range(width))
    return png_of(png_header(width, height, bits=16, colour=0), (b"\0" + row) * height)


def big_tiff(image: Image.Image, rows_per_strip: int) -> bytes:
    """A BigTIFF of an L image, whose strips are told in 64 bits."""
    width, height = image.size
    strips = max(-(-height // rows_per_strip), 1)
    each = width * min(rows_per_strip, height)
    tags = [(256, 3, [width]), (257, 3, [height]), (258, 3, [8]), (259, 3, [1]), (262, 3, [1])]
    start, behind, entries = 16 + 8 + 20 * 8 + 8, b"", b""
    pixels_at = start + 16 * strips
    tags += [(273, 16, [pixels_at + each * strip for strip in range(strips)]), (278, 4, [rows_per_strip])]
    tags += [(279, 16, [min(each, width * height - each * strip) for strip in range(strips)])]
    for tag, kind, values in tags:
        content = struct.pack(f"<{len(values)}{ {3: 'H', 4: 'I', 16: 'Q'}[kind] }", *values)
        if len(content) > 8:
            content, behind = struct.pack("<Q", start + len(behind)), behind + content
        entries += struct.pack("<HHQ", tag, kind, len(values)) + content.ljust(8, b"\0")
    head = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, len(tags))
    return (head + entries + bytes(8) + behind).ljust(pixels_at, b"\0") + image.tobytes()
