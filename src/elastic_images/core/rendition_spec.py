"""What a rendition is to be: its size, shape, format and quality."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, cast

from elastic_images.core.errors import InvalidRequest

Fit = Literal["inside", "cover"]
Format = Literal["jpeg", "png", "webp", "avif"]


@dataclass(frozen=True, slots=True)
class RenditionSpec:
    """Equal specs give equal bytes of the same original."""

    width: int | None = None
    """In pixels; None: as the height and the original's shape demand."""
    height: int | None = None
    fit: Fit = "inside"
    """`inside`: fits into the box, never enlarged. `cover`: fills the box, cropped by `gravity`."""
    gravity: str = "center"
    format: Format | None = None
    """None: the original's, or JPEG or PNG where browsers do not show it."""
    quality: int | None = None
    """1 to 100; None: the format's default."""

    @property
    def canonical(self) -> str:
        """A short text that names it in caches: `width=320&height=320`, without what is as by default."""
        told = ((field.name, getattr(self, field.name), field.default) for field in fields(self))
        return "&".join(f"{name}={value}" for name, value, default in told if value != default)

    @classmethod
    def parse_canonical(cls, text: str) -> RenditionSpec:
        """The spec that `canonical` gave this text for. Raises InvalidRequest for any other text."""
        pairs = dict(part.partition("=")[::2] for part in text.split("&")) if text else {}
        try:
            numbers = {name: int(pairs[name]) for name in ("width", "height", "quality") if name in pairs}
            found = cls(
                fit=cast(Fit, pairs.get("fit", "inside")),
                gravity=pairs.get("gravity", "center"),
                format=cast("Format | None", pairs.get("format")),
                **numbers,
            )
        except ValueError:
            found = cls()
        if found.canonical != text:
            raise InvalidRequest(f"Not a rendition: {text!r}.")
        return found
