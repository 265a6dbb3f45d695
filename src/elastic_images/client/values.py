"""What the client gives and takes: values without connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, TypedDict

from elastic_images.client.errors import UnexpectedAnswer
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.rendition_spec import Fit
from elastic_images.core.visibility import Visibility


class RenditionParameters(TypedDict, total=False):
    """Which rendition of an image; docs/images.md explains them."""

    w: int
    h: int
    fit: Fit
    gravity: str
    ar: str
    dpr: float
    format: Literal["auto", "jpeg", "png", "webp", "avif"]
    q: int
    preset: str
    v: str


@dataclass(frozen=True, slots=True)
class _Value:
    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read an answer. Fields that are not known here are left out. Raises UnexpectedAnswer."""
        try:
            return cls(**{one.name: value[one.name] for one in fields(cls) if one.name in value})
        except TypeError as error:
            raise UnexpectedAnswer(f"The answer lacks what was asked for ({error}): check the URL.") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(_Value):
    """An image's metadata. Times are seconds since 1970 (UTC)."""

    key: str
    size_bytes: int
    content_type: str
    format: str
    """JPEG, PNG, GIF, WEBP, AVIF, HEIF, TIFF or BMP."""
    width: int
    """As displayed, like `height`."""
    height: int
    stored_width: int | None = None
    """None, like the others with this default, until an image from an older version was examined."""
    stored_height: int | None = None
    orientation: int | None = None
    """1 to 8, as in EXIF."""
    frames: int
    has_alpha: bool | None = None
    has_location: bool | None = None
    """Whether the file says where it was taken."""
    location_removed: bool | None = None
    """Whether that was removed when it was uploaded: these are not quite the bytes that were sent, then."""
    colour_profile: str | None = None
    taken_at: str | None = None
    """ISO 8601, in the camera's time."""
    thumbhash: str | None = None
    damaged_tail: bool | None = None
    sha256: str
    etag: str
    """For `if_match`; with its quotes."""
    version: int
    """Grows with each change of the key."""
    owner: str | None
    visibility: Visibility = "public"
    created_at: float
    updated_at: float
    partition: int
    node: int | None
    url: str
    """The path of its stable address."""
    immutable_url: str
    """The path of an address that caches may keep for ever."""

    def to_json(self) -> dict[str, Any]:
        """The metadata by the names of docs/api.md."""
        return {one.name: getattr(self, one.name) for one in fields(Image)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded(Image):
    """An image that was just stored."""

    created: bool
    """Whether its key was free."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing."""

    images: tuple[Image, ...]
    next: str | None
    """The cursor of the page after it; None at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(_Value):
    """An address that opens, or takes, one image until a time (seconds since 1970)."""

    url: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What `elastic-images links key create` prints: its id, and the secret that signs."""

    kid: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashEntry(_Value):
    """A deleted or replaced image, which can be restored `until` then (seconds since 1970)."""

    id: int
    key: str
    version: int
    deleted_at: float
    until: float
    size_bytes: int
    owner: str | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of one entry of the trash that was to be restored."""

    id: int | None
    key: str | None
    error: ElasticImagesError | None = None
    """Why it was not restored."""
