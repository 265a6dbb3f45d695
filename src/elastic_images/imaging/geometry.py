"""Which part of an image a rendition shows, and in which size. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.rendition_spec import GRAVITIES, RenditionSpec

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_ACROSS = {"west": 0.0, "east": 1.0}
_DOWN = {"north": 0.0, "south": 1.0}
SIDEWAYS = 5
"""Orientations from this one on swap width and height (EXIF, tag 274)."""


@dataclass(frozen=True, slots=True)
class Placing:
    """`box`, in pixels of the image as stored, becomes `width` x `height` pixels, as displayed."""

    box: Box
    width: int
    height: int
    orientation: int = 1

    @property
    def stored_size(self) -> tuple[int, int]:
        """The rendition's size before it is turned upright."""
        return (self.height, self.width) if self.orientation >= SIDEWAYS else (self.width, self.height)


def place(size: tuple[int, int], orientation: int, spec: RenditionSpec) -> Placing:
    """What `spec` shows of an image stored in this size. Never enlarges. Raises InvalidRequest for a wrong gravity."""
    if spec.gravity not in GRAVITIES:
        raise InvalidRequest(f"No gravity {spec.gravity!r}: use {', '.join(sorted(GRAVITIES))}.")
    across, down = (size[1], size[0]) if orientation >= SIDEWAYS else size
    if spec.fit == "cover" and spec.width and spec.height:
        fitting = min(across / spec.width, down / spec.height, 1.0)
        width, height = spec.width * fitting, spec.height * fitting
        scale = min(across / width, down / height)
        # Rounding must not lead outside the image: Pillow refuses such a box.
        box_width, box_height = min(width * scale, across), min(height * scale, down)
        left = (across - box_width) * next((at for name, at in _ACROSS.items() if name in spec.gravity), 0.5)
        top = (down - box_height) * next((at for name, at in _DOWN.items() if name in spec.gravity), 0.5)
        box = (left, top, min(left + box_width, across), min(top + box_height, down))
    else:
        wanted = [limit / side for limit, side in ((spec.width, across), (spec.height, down)) if limit]
        scale = min([*wanted, 1.0])
        width, height = across * scale, down * scale
        box = (0.0, 0.0, float(across), float(down))
    return Placing(_as_stored(box, orientation, across, down), max(round(width), 1), max(round(height), 1), orientation)


def _as_stored(box: Box, orientation: int, across: int, down: int) -> Box:
    """A box of the upright image, whose size is given, in the image as stored."""
    corners = [_point(x, y, orientation, across, down) for x, y in (box[:2], box[2:])]
    (x1, x2), (y1, y2) = (sorted(values) for values in zip(*corners, strict=True))
    return x1, y1, x2, y2


def _point(x: float, y: float, orientation: int, across: int, down: int) -> tuple[float, float]:
    right, below = across - x, down - y
    points = ((x, y), (right, y), (right, below), (x, below), (y, x), (y, right), (below, right), (below, x))
    return points[orientation - 1]
