"""WebP (RFC 9649): chunks and frames."""

from __future__ import annotations

from elastic_images.imaging.formats import Buffer, damaged
from elastic_images.imaging.headers.facts import Header, Parts

_PIXELS = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
_ALPHA_FLAG, _ANIMATION_FLAG = 0x10, 0x02


def read(data: Buffer) -> Header:
    """The header of a WebP; see `read_header`."""
    position, parts = 12, Parts("WebP")
    end = min(8 + int.from_bytes(data[4:8], "little"), len(data))
    size: tuple[int, int] | None = None
    frames, alpha, lossless, extras = 0, False, False, end < len(data)
    while position + 8 <= end:
        parts.next()
        kind, start = bytes(data[position : position + 4]), position + 8
        if kind == b"VP8X":
            alpha = bool(data[start] & _ALPHA_FLAG)
            size = _number(data, start + 4, 3) + 1, _number(data, start + 7, 3) + 1
        elif kind == b"VP8 ":
            size = size or (_number(data, start + 6, 2) & 0x3FFF, _number(data, start + 8, 2) & 0x3FFF)
        elif kind == b"VP8L":
            bits = _number(data, start + 1, 4)
            size = size or ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
            alpha, lossless = alpha or bool(bits >> 28 & 1), True
        elif kind == b"ANMF":
            frames += 1
            lossless = lossless or data[start + 16 : start + 20] in (b"VP8L", b"ALPH")
        extras = extras or kind not in _PIXELS
        length = _number(data, position + 4, 4)
        position = start + length + (length & 1)
    if size is None:
        raise damaged("WebP", "its header is incomplete")
    return Header("WEBP", *size, max(frames, 1), samples=4 if alpha else 3, has_extras=extras, lossless=lossless)


def _number(data: Buffer, start: int, length: int) -> int:
    found = data[start : start + length]
    if len(found) < length:
        raise IndexError(start)
    return int.from_bytes(found, "little")
