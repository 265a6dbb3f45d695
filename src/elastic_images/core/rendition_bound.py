"""Which renditions strangers may ask for: a bounded number, so that nobody can fill the caches at will. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from elastic_images.core.rendition_query import RenditionQuery

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
        """The allowed rendition that is most like what is asked for: the same if that is allowed."""
        quality = None if asked.quality is None else _nearest(asked.quality, self.qualities)
        if asked.preset is not None:
            return replace(asked, quality=quality)
        width, height, ratio = asked.width, asked.height, asked.ratio
        if width is None:
            height = None if height is None else _nearest(height, self.widths)
        else:
            width = _nearest(width, self.widths)
            asked_height = asked.base_height
            if asked_height is not None and not (width == asked.width and self._has_ratio(width, asked_height)):
                nearest = self._nearest_ratio(asked.width or 1, asked_height)
                height = None if ratio else max(1, round(width * nearest[1] / nearest[0]))
                ratio = ratio and nearest
        return replace(asked, width=width, height=height, ratio=ratio, quality=quality)

    def _has_ratio(self, width: int, height: int) -> bool:
        return any(abs(height - width * high / wide) <= 1 for wide, high in self.ratios)

    def _nearest_ratio(self, width: int, height: int) -> Ratio:
        return min(self.ratios, key=lambda ratio: abs(math.log(width * ratio[1] / (height * ratio[0]))))


def _nearest(number: int, allowed: Iterable[int]) -> int:
    """Of two as near, the larger."""
    return min(allowed, key=lambda one: (abs(one - number), -one))
