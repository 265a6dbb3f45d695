"""Real JPEG photographs of about a wanted size in bytes."""

from __future__ import annotations

import io
from math import sqrt

from PIL import Image
from testing.photographs import SOURCES, data_folder

_TOLERANCE = 0.03
_ATTEMPTS = 14


def jpegs(size_bytes: int, count: int) -> list[bytes]:
    """`count` different JPEGs of `size_bytes`, give or take a few percent, from the photographs of the tests."""
    return [_jpeg(SOURCES[number % len(SOURCES)], size_bytes, number // len(SOURCES)) for number in range(count)]


def _jpeg(name: str, size_bytes: int, turn: int) -> bytes:
    """The photograph, scaled until its JPEG has the size. `turn` rotates it, to make several from one photograph."""
    with Image.open(data_folder() / name) as opened:
        source = opened.convert("RGB").rotate(90 * turn, expand=True)
    scale, best = 1.0, b""
    for _ in range(_ATTEMPTS):
        side = (max(16, round(source.width * scale)), max(16, round(source.height * scale)))
        buffer = io.BytesIO()
        source.resize(side).save(buffer, "JPEG", quality=88)
        encoded = buffer.getvalue()
        if not best or abs(len(encoded) - size_bytes) < abs(len(best) - size_bytes):
            best = encoded
        if abs(len(encoded) - size_bytes) <= _TOLERANCE * size_bytes:
            break
        # A JPEG's size grows with its area, but less when scaled up, so approach it in steps.
        scale *= sqrt(size_bytes / len(encoded))
    return best
