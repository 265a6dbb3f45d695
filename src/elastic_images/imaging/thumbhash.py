"""ThumbHash: a placeholder of some 25 bytes, as a low-resolution cosine transform of an image.

Follows the format that https://evanw.github.io/thumbhash/ describes. Written here because the packages that offer it
take 30 ms; the transform is separable, which makes it 50 times faster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from operator import mul

MAX_SIDE = 32
"""Larger images tell nothing more: a hash has at most 7 x 7 frequencies."""
_OPAQUE_FREQUENCIES, _ALPHA_FREQUENCIES = 7, 5
_NOISE = 1e-9


def thumbhash(width: int, height: int, rgba: bytes) -> bytes:
    """The hash of an image of at most `MAX_SIDE` pixels a side; `rgba` is 4 bytes a pixel, not premultiplied."""
    red, green, blue = ([value / 255.0 for value in rgba[band::4]] for band in range(3))
    alpha = [value / 255.0 for value in rgba[3::4]]
    opacity = math.fsum(alpha)
    has_alpha = opacity < width * height - 1e-9
    if has_alpha:
        red, green, blue = (_on_average(band, alpha, opacity) for band in (red, green, blue))
    limit, longest = _ALPHA_FREQUENCIES if has_alpha else _OPAQUE_FREQUENCIES, max(width, height)
    across, down = (max(1, _round(limit * side / longest)) for side in (width, height))
    size, pixels = (width, height), list(zip(red, green, blue, strict=True))
    light = _Channel([(r + g + b) / 3 for r, g, b in pixels], size, max(3, across), max(3, down))
    yellow = _Channel([(r + g) / 2 - b for r, g, b in pixels], size, 3, 3)
    reddish = _Channel([r - g for r, g in zip(red, green, strict=True)], size, 3, 3)
    head = (
        _round(63 * light.mean)
        | _round(31.5 + 31.5 * yellow.mean) << 6
        | _round(31.5 + 31.5 * reddish.mean) << 12
        | _round(31 * light.scale) << 18
        | has_alpha << 23
    )
    is_landscape = width > height
    shape = (
        (down if is_landscape else across)
        | _round(63 * yellow.scale) << 3
        | _round(63 * reddish.scale) << 9
        | is_landscape << 15
    )
    made = bytearray(head.to_bytes(3, "little") + shape.to_bytes(2, "little"))
    channels = [light, yellow, reddish]
    if has_alpha:
        opaque = _Channel(alpha, size, 5, 5)
        made.append(_round(15 * opaque.mean) | _round(15 * opaque.scale) << 4)
        channels.append(opaque)
    nibbles = [_round(15 * factor) for channel in channels for factor in channel.factors]
    nibbles += [0] * (len(nibbles) % 2)
    made += bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
    return bytes(made)


class _Channel:
    """The lowest frequencies of one channel: their mean, the largest factor, and each factor from 0 to 1."""

    def __init__(self, values: Sequence[float], size: tuple[int, int], across: int, down: int) -> None:
        width, height = size
        rows = [values[start : start + width] for start in range(0, width * height, width)]
        # By rows first: one pass for each horizontal frequency, then short ones over the columns.
        waves = _waves(width, across)
        columns = [[sum(map(mul, wave, row)) for row in rows] for wave in waves]
        found = [
            sum(map(mul, wave, columns[x])) / (width * height)
            for y, wave in enumerate(_waves(height, down))
            for x in range(across)
            if x * down < across * (down - y)
        ]
        self.mean, *rest = found
        self.scale = max(map(abs, rest), default=0.0)
        # Sums of the same value differ in their last bits, which is no frequency.
        self.factors = [0.5 + 0.5 / self.scale * factor if self.scale > _NOISE else 0.0 for factor in rest]


@cache
def _waves(length: int, count: int) -> list[list[float]]:
    return [[math.cos(math.pi / length * number * (place + 0.5)) for place in range(length)] for number in range(count)]


def _on_average(band: Sequence[float], alpha: Sequence[float], opacity: float) -> list[float]:
    """A band on the image's own average colour."""
    average = math.fsum(map(mul, band, alpha)) / opacity if opacity else 0.0
    return [average * (1 - a) + a * value for value, a in zip(band, alpha, strict=True)]


def _round(value: float) -> int:
    """Half upwards, as in the description."""
    return math.floor(value + 0.5)
