"""What is known of an image, and who asks: values that travel between processes. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The metadata of one image, as of one version of its key. Times are seconds since the epoch."""

    key: str
    version: int
    """Grows with each change of the key, its deletions among them."""
    sha256: str
    size_bytes: int
    content_type: str
    format: str
    """JPEG, PNG, GIF, WEBP, AVIF, TIFF or BMP: what its bytes decode as."""
    width: int
    height: int
    frames: int
    owner: str | None
    """The name of the user who may change it; None where nobody in particular uploaded it.

    Of an image that was restored from elsewhere it may be a name that is nobody's here.
    """
    created_at: float
    updated_at: float
    """Grows by a second at least with each change of the key."""

    @property
    def etag(self) -> str:
        """The strong entity tag of the bytes, in quotes as in the header."""
        return quoted(self.sha256)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values, by the names of docs/architecture.md."""
        return {
            "key": self.key,
            "size_bytes": self.size_bytes,
            "content_type": self.content_type,
            "format": self.format,
            "width": self.width,
            "height": self.height,
            "frames": self.frames,
            "sha256": self.sha256,
            "etag": self.etag,
            "version": self.version,
            "owner": self.owner,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ImageFacts:
        """Read what `to_json` gave. Raises KeyError where something is missing."""
        return cls(**{name: value[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a change. `user` None is nobody in particular."""

    user: int | None
    name: str
    admin: bool = False

    def to_json(self) -> dict[str, Any]:
        """As `X-Actor` carries it."""
        return {"user": self.user, "name": self.name, "admin": self.admin}


@dataclass(frozen=True, slots=True)
class ImagePage:
    """One page of a listing; `next` is the cursor of the page after it, None at the end."""

    images: tuple[ImageFacts, ...]
    next: str | None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"images": [image.to_json() for image in self.images], "next": self.next}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ImagePage:
        """Read what `to_json` gave."""
        return cls(tuple(ImageFacts.from_json(image) for image in value["images"]), value["next"])


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The keys before and behind an image in a listing; None where it is the first or the last."""

    previous: str | None
    next: str | None

    def to_json(self) -> dict[str, str | None]:
        """As plain JSON values."""
        return {"previous": self.previous, "next": self.next}


@dataclass(frozen=True, slots=True)
class Usage:
    """How much is stored."""

    images: int
    size_bytes: int

    def to_json(self) -> dict[str, int]:
        """As plain JSON values."""
        return {"images": self.images, "bytes": self.size_bytes}


def quoted(sha256: str) -> str:
    """A strong entity tag."""
    return f'"{sha256}"'
