"""What the rest of the system asks of imaging. It loads no decoder: `client.ImagingClient` has workers do the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from elastic_images.core.rendition_spec import RenditionSpec

Body = bytes | int
"""An image file: its bytes, or the descriptor of a file that holds them and nothing else. Nobody may change it."""


class Priority(IntEnum):
    """Who is served first."""

    UPLOAD = 0
    MEMBER_RENDITION = 1
    STRANGER_RENDITION = 2


@dataclass(frozen=True, slots=True)
class Picture:
    """The facts found by decoding, as in `core.image_facts.ImageFacts`. Sizes are those of the first frame."""

    format: str
    content_type: str
    width: int
    height: int
    frames: int
    stored_width: int | None = None
    stored_height: int | None = None
    orientation: int | None = None
    has_alpha: bool | None = None
    has_location: bool | None = None
    damaged_tail: bool | None = None
    colour_profile: str | None = None
    taken_at: str | None = None
    thumbhash: str | None = None
    location_removed: bool = False
    location_patches: Sequence[tuple[int, str]] = ()
    """What removes the position from the file (`imaging.location`)."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """An image made from another one."""

    data: bytes
    content_type: str
    width: int
    height: int
    processor_seconds: float = 0.0
    """What it took to make it."""


class Imaging(Protocol):
    """Inspects images and makes renditions. Safe to share between threads. `deadline` is by `time.monotonic`."""

    def inspect(
        self, body: Body, *, deadline: float, gone: Callable[[], bool] | None = None, name: str = "", client: str = ""
    ) -> Picture:
        """Decode every frame. `gone` says whether nobody waits for the outcome any more: then the work ends.

        `name` is for `give_up`. `client` is whose image it is: others do not wait for all of theirs.

        Raises:
            EmptyBody: no bytes.
            NotAnImage: an unsupported format.
            BrokenImage: it does not decode completely, or takes too much work.
            TooLarge: it has too many pixels or frames, or decoding takes more memory than IMAGING_MEMORY_MB allows.
            Unavailable: too much to do, the deadline passed, or the worker was killed.
        """

    def give_up(self, name: str) -> None:
        """End an inspection of this name, which any process of this machine may have asked for. Raises Unavailable."""

    def render(self, original: Body, spec: RenditionSpec, *, priority: Priority, deadline: float) -> Rendition:
        """Make a rendition of a stored image. Once begun it is finished. Raises as `inspect`."""
