"""What is to be made of an image: the size, the part, and the format of a rendition. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from elastic_images.core.errors import InvalidRequest

Fit = Literal["inside", "cover"]
Format = Literal["jpeg", "png", "webp", "avif"]

FITS: tuple[str, ...] = get_args(Fit)
FORMATS: tuple[str, ...] = get_args(Format)
GRAVITIES = ("center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
MAX_SIDE = 8192


@dataclass(frozen=True, slots=True)
class RenditionSpec:
    """A rendition: upright, in sRGB, without metadata, never enlarged. Compares by value."""

    width: int | None = None
    height: int | None = None
    """The box in pixels; None: that side follows from the other one. With neither, the size stays."""
    fit: Fit = "inside"
    """`inside` fits into the box; `cover` fills it, cropped. With one side only, both are the same."""
    gravity: str = "center"
    """Which part `cover` keeps."""
    format: Format | None = None
    """None: the original's, or JPEG or PNG where browsers do not show that."""
    quality: int | None = None
    """1 to 100; None: the format's default."""

    @property
    def canonical(self) -> str:
        """The spec as short text, the same for equal specs: `w400,h300,cover,north,webp,q80`; `-` for an empty one."""
        cover = self.fit == "cover"
        parts = [
            f"w{self.width}" if self.width else "",
            f"h{self.height}" if self.height else "",
            "cover" if cover else "",
            self.gravity if cover and self.gravity != "center" else "",
            self.format or "",
            f"q{self.quality}" if self.quality else "",
        ]
        return ",".join(filter(None, parts)) or "-"

    @classmethod
    def parse_canonical(cls, text: str) -> RenditionSpec:
        """The spec whose `canonical` is `text`. Raises InvalidRequest if there is none."""
        found: dict[str, object] = {}
        for part in [] if text == "-" else text.split(","):
            if part in FORMATS:
                found["format"] = part
            elif part == "cover":
                found["fit"] = part
            elif part in GRAVITIES:
                found["gravity"] = part
            elif part[:1] in _NUMBERS and part[1:].isdecimal() and part.isascii() and len(part) < 6:
                found[_NUMBERS[part[0]]] = int(part[1:])
        spec = cls(**found)  # type: ignore[arg-type]
        if spec.canonical != text or max(spec.width or 1, spec.height or 1) > MAX_SIDE or (spec.quality or 1) > 100:
            raise InvalidRequest(f"{text!r} is no rendition.")
        return spec


_NUMBERS = {"w": "width", "h": "height", "q": "quality"}
