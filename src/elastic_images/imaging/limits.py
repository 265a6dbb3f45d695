"""How large an image may be, judged by its header."""

from __future__ import annotations

from dataclasses import dataclass

from elastic_images.core.errors import TooLarge
from elastic_images.imaging.headers.facts import Header


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one image; each is the setting of its name."""

    max_image_pixels: int = 100_000_000
    max_frames: int = 2_000
    max_animation_pixels: int = 1_000_000_000

    def check(self, header: Header) -> None:
        """Raise TooLarge, naming the setting, for an image that exceeds them."""
        if header.largest_pixels > self.max_image_pixels:
            raise _too_large(header.format, header.largest_pixels, "pixels", "MAX_IMAGE_PIXELS", self.max_image_pixels)
        if header.frames > self.max_frames:
            raise _too_large(header.format, header.frames, "frames", "MAX_FRAMES", self.max_frames)
        if header.total_pixels > max(self.max_animation_pixels, self.max_image_pixels):
            raise _too_large(
                header.format,
                header.total_pixels,
                "pixels over all frames",
                "MAX_ANIMATION_PIXELS",
                self.max_animation_pixels,
            )


def _too_large(kind: str, found: int, what: str, setting: str, limit: int) -> TooLarge:
    return TooLarge(
        f"This {kind} image has {found:,} {what}, more than {limit:,}: make it smaller, or have {setting} raised."
    )
