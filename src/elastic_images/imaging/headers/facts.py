"""The facts that headers give."""

from __future__ import annotations

from dataclasses import dataclass

from elastic_images.core.errors import BrokenImage

MAX_PARTS = 200_000
"""Segments, chunks, boxes or blocks in a file. A 25 MB file in 8 KB chunks has 3,000; reading so many takes 0.2 s."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an image says of itself. Sizes are as stored, before any rotation."""

    format: str
    """One of `formats.FORMATS`."""
    width: int
    height: int
    """Of the first frame; of the canvas where frames have one."""
    frames: int = 1
    largest_pixels: int = 0
    """Of the largest frame that a decoder makes, tiles included."""
    total_pixels: int = 0
    """Of all frames together."""
    samples: float = 3.0
    """Stored samples for each pixel, after chroma subsampling."""
    bits: int = 8
    """Bits of a sample."""
    progressive: bool = False
    """A JPEG with several scans, or an interlaced PNG: all of it is held until the last scan."""
    scans: int = 1
    whole: bool = True
    """Whether its end is there. If not, pixels may be missing or not."""
    has_extras: bool = False
    """Anything beside pixels: profiles, EXIF, XMP, comments, thumbnails, bytes behind the end."""
    lossless: bool = True
    """Whether its encoding keeps every pixel; decides nothing about memory except for WebP."""

    coding: tuple[int, int] | None = None
    """The colour space by its code points, as in cICP and nclx: primaries and transfer (ITU-T H.273)."""
    orientation: int = 1
    """How the stored pixels are turned, as in EXIF; where only the decoder knows it, 1."""

    def __post_init__(self) -> None:
        pixels = self.width * self.height
        object.__setattr__(self, "largest_pixels", max(self.largest_pixels, pixels))
        object.__setattr__(self, "total_pixels", max(self.total_pixels, pixels * self.frames))


class Parts:
    """Counts the parts of a file, so that a file of nothing but parts costs little."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._left = MAX_PARTS

    def next(self) -> None:
        """One more. Raises BrokenImage for more than any real image has."""
        self._left -= 1
        if self._left < 0:
            raise BrokenImage(f"This {self._kind} image has more than {MAX_PARTS:,} parts: save it as a new file.")
