"""Colour profiles (ICC.1:2001-04), made from their definitions."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import product

_D50 = (0.9642, 1.0, 0.8249)
# Colorants adapted to D50, rows X, Y, Z (Apple's and Adobe's own profiles have these numbers).
P3 = ((0.51512, 0.29198, 0.15710), (0.24120, 0.69225, 0.06657), (-0.00105, 0.04189, 0.78407))
ADOBE_RGB = ((0.60974, 0.20528, 0.14919), (0.31111, 0.62567, 0.06322), (0.01947, 0.06087, 0.74457))
SRGB = ((0.43607, 0.38515, 0.14307), (0.22249, 0.71687, 0.06061), (0.01392, 0.09708, 0.71410))
Matrix = Sequence[Sequence[float]]


def srgb_curve(value: float) -> float:
    """From a channel of sRGB or Display P3, 0 to 1, to light."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def rgb_profile(colorants: Matrix, curve: Callable[[float], float]) -> bytes:
    """A display profile: a matrix and a curve."""
    columns = {name: tuple(row[place] for row in colorants) for place, name in enumerate(("rXYZ", "gXYZ", "bXYZ"))}
    tags = {name: _xyz(column) for name, column in columns.items()}
    tags |= dict.fromkeys(("rTRC", "gTRC", "bTRC"), _curve(curve))
    return _profile("mntr", "RGB ", "XYZ ", tags)


def grey_profile(curve: Callable[[float], float]) -> bytes:
    """A profile of one channel."""
    return _profile("mntr", "GRAY", "XYZ ", {"kTRC": _curve(curve)})


def cmyk_profile(to_lab: Callable[[float, float, float, float], tuple[float, float, float]], points: int = 9) -> bytes:
    """A printer's profile: a table from ink, 0 to 1 each, to Lab."""
    grid = b"".join(
        struct.pack(">3B", round(light * 2.55), round(a + 128), round(b + 128))
        for inks in product([place / (points - 1) for place in range(points)], repeat=4)
        for light, a, b in (to_lab(*inks),)
    )
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *(65_536 if place % 4 == 0 else 0 for place in range(9)))
    table = b"mft1\0\0\0\0" + bytes([4, 3, points, 0]) + matrix + identity * 4 + grid + identity * 3
    return _profile("prtr", "CMYK", "Lab ", {"A2B0": table, "A2B1": table})


def _profile(kind: str, space: str, connection: str, tags: dict[str, bytes]) -> bytes:
    tags = {"desc": _description(), "cprt": b"text\0\0\0\0none\0", "wtpt": _xyz(_D50), **tags}
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        padded = content + b"\0" * (-len(content) % 4)
        table += struct.pack(">4sII", name.encode(), offset + len(body), len(content))
        body += padded
    size = offset + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, kind.encode(), space.encode(), connection.encode())
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28 + struct.pack(">3i", *map(_fixed, _D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _description() -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 78


def _xyz(value: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *map(_fixed, value))


def _curve(curve: Callable[[float], float]) -> bytes:
    values = [round(curve(place / 1023) * 65_535) for place in range(1024)]
    return b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *values)


def _fixed(value: float) -> int:
    return round(value * 65_536)
