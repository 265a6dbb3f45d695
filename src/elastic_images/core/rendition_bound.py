"""Which renditions strangers may ask for: a bounded number, so that nobody can fill the caches at will. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from elastic_images.core.rendition_query import RenditionQuery, ratio_height

Ratio = tuple[int, int]


@dataclass(frozen=True, slots=True)
class RenditionRules:
    """What may be asked for."""

    presets: Mapping[str, RenditionQuery]
    bound: RenditionBound | None
    """For strangers; None: anything."""


@dataclass(frozen=True, slots=True)
class RenditionBound:
    """The sizes, shapes and qualities that are open to all. Presets, formats and gravities always are."""

    widths: tuple[int, ...]
    """For `w`, and for `h` alone, before `dpr`."""
    ratios: tuple[Ratio, ...]
    """For `w` with `h` or `ar`, within a pixel."""
    qualities: tuple[int, ...]

    def nearest(self, asked: RenditionQuery) -> RenditionQuery:
        """The rendition of this bound that is most like what is asked for.

        With two sides, its height is exactly that of its ratio, so that the pixel of tolerance makes no further ones.
        """
        quality = None if asked.quality is None else _nearest(asked.quality, self.qualities)
        if asked.preset is not None:
            return replace(asked, quality=quality)
        width, height, ratio = asked.width, asked.height, asked.ratio
        if width is None:
            height = None if height is None else _nearest(height, self.widths)
        else:
            width = _nearest(width, self.widths)
            asked_height = asked.base_height
            if asked_height is not None:
                nearest = self._nearest_ratio(asked.width or 1, asked_height)
                height = None if ratio else ratio_height(width, nearest)
                ratio = ratio and nearest
        return replace(asked, width=width, height=height, ratio=ratio, quality=quality)

    def allows(self, asked: RenditionQuery) -> bool:
        """Whether what is asked for is its nearest, but for a pixel where a height follows from a ratio."""
        nearest = self.nearest(asked)
        if nearest == asked:
            return True
        rounded = replace(nearest, height=asked.height, ratio=asked.ratio) == asked
        off = (asked.base_height or 0) - (nearest.base_height or 0)
        return rounded and asked.width is not None and abs(off) <= 1

    def _nearest_ratio(self, width: int, height: int) -> Ratio:
        def distance(ratio: Ratio) -> tuple[int, float]:
            pixels = abs(height - ratio_height(width, ratio))
            return pixels if pixels <= 1 else 2, abs(math.log(width * ratio[1] / (height * ratio[0])))

        return min(self.ratios, key=distance)


def _nearest(number: int, allowed: Iterable[int]) -> int:
    """Of two as near, the larger."""
    return min(allowed, key=lambda one: (abs(one - number), -one))
