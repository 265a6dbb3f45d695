"""Colour profiles (ICC.1:2010) of spaces that files name without describing them. Pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache

Point = tuple[float, float]
"""A chromaticity: x and y."""
Primaries = tuple[Point, Point, Point, Point]
"""White, red, green, blue."""
Matrix = Sequence[Sequence[float]]

_D65: Point = (0.3127, 0.3290)
_SRGB: Primaries = (_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
# ITU-T H.273, tables 2 and 3.
_PRIMARIES: dict[int, Primaries] = {
    1: _SRGB,
    5: (_D65, (0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    6: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_LIKE_SRGB = frozenset({1, 6, 13, 14, 15})
"""Browsers show the curves of television as that of sRGB."""
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_SRGB_CURVE = (3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))


@cache
def coded_profile(primaries: int, transfer: int) -> bytes | None:
    """The profile of a space by its code points (H.273). None for sRGB, and for what is not known, such as HDR."""
    points = _PRIMARIES.get(primaries)
    if points is None or (transfer not in _GAMMAS and transfer not in _LIKE_SRGB):
        return None
    if primaries == 1 and transfer in _LIKE_SRGB:
        return None
    return _profile(points, _GAMMAS.get(transfer))


@cache
def described_profile(primaries: Primaries | None, gamma: float) -> bytes | None:
    """The profile of a space by its chromaticities, or those of sRGB, and the power from values to light."""
    try:
        return _profile(primaries or _SRGB, gamma)
    except (ZeroDivisionError, OverflowError, struct.error):
        return None


def _profile(points: Primaries, gamma: float | None) -> bytes:
    kind, numbers = _SRGB_CURVE if gamma is None else (0, (gamma,))
    curve = struct.pack(">4sIHH", b"para", 0, kind, 0) + b"".join(map(_fixed, numbers))
    columns = list(zip(*_to_d50(points), strict=True))
    tags = {b"wtpt": _xyz(_D50), b"rXYZ": _xyz(columns[0]), b"gXYZ": _xyz(columns[1]), b"bXYZ": _xyz(columns[2])}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    start = 132 + 12 * len(tags)
    table = body = b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head = (head + b"\0" * 12 + b"acsp").ljust(68, b"\0") + b"".join(map(_fixed, _D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _to_d50(points: Primaries) -> Matrix:
    """From light of these primaries to XYZ, adapted to D50 (Bradford)."""
    white, *colours = [(x / y, 1.0, (1 - x - y) / y) for x, y in points]
    columns = [list(row) for row in zip(*colours, strict=True)]
    amounts = _times(_inverse(columns), white)
    scaled = [[value * amount for value, amount in zip(row, amounts, strict=True)] for row in columns]
    ratios = [to / of for to, of in zip(_times(_BRADFORD, _D50), _times(_BRADFORD, white), strict=True)]
    cones = [[ratio * value for value in row] for ratio, row in zip(ratios, _BRADFORD, strict=True)]
    adapted = _product(_inverse(_BRADFORD), cones)
    return _product(adapted, scaled)


def _times(matrix: Matrix, vector: Sequence[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def _product(one: Matrix, other: Matrix) -> Matrix:
    return [_times(list(zip(*other, strict=True)), row) for row in one]


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    rows = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    determinant = a * rows[0][0] + b * rows[1][0] + c * rows[2][0]
    return [[value / determinant for value in row] for row in rows]


def _xyz(value: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, value))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65_536))
