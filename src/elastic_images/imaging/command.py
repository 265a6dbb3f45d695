"""The command line that starts a broker as a child, and what a broker is told of the settings."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from elastic_images.imaging.admission import MEGABYTE
from elastic_images.imaging.limits import Limits
from elastic_images.settings import Settings


def limits_of(settings: Settings) -> Limits:
    """The bounds on one image."""
    return Limits(settings.max_image_pixels, settings.max_frames, settings.max_animation_pixels)


def command(settings: Settings) -> Sequence[str]:
    """Descriptors follow it: `--listen-fd N`, and those that the supervisor adds."""
    limits = limits_of(settings)
    bounds = (limits.max_image_pixels, limits.max_frames, limits.max_animation_pixels)
    lifeline = "" if settings.lifeline_fd is None else str(settings.lifeline_fd)
    memory_bytes = settings.imaging_memory_mb * MEGABYTE
    return [
        *(sys.executable, "-m", "elastic_images.imaging"),
        *(str(memory_bytes), ",".join(map(str, bounds)), lifeline),
    ]
