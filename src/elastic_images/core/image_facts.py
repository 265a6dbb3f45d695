"""Image metadata, and who asks for a change: the values that travel between processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.visibility import Visibility

VERSION_DIGITS = 12
"""How many digits of an original's SHA-256 an immutable address has."""


class ImageMetadata(TypedDict):
    """`ImageFacts` as JSON, by the names of docs/internal-api.md."""

    key: str
    size_bytes: int
    content_type: str
    format: str
    width: int
    height: int
    stored_width: int | None
    stored_height: int | None
    orientation: int | None
    frames: int
    has_alpha: bool | None
    has_location: bool | None
    location_removed: bool | None
    colour_profile: str | None
    taken_at: str | None
    thumbhash: str | None
    damaged_tail: bool | None
    sha256: str
    etag: str
    version: int
    owner: str | None
    visibility: Visibility
    created_at: float
    updated_at: float


class BadImage(TypedDict):
    """An image whose stored bytes are `damaged` or `lost`."""

    key: str
    state: str
    detail: str
    found_at: float


class BadImagePage(TypedDict):
    """One page of bad images; `next` is the cursor of the page after it, None at the end."""

    images: list[BadImage]
    next: str | None


class ScrubStatus(TypedDict):
    """How far the scrubber is. Times are seconds since the epoch."""

    running: bool
    requested: bool
    """A requested round has not begun."""
    started_at: float | None
    finished_at: float | None
    """When the last whole round ended."""
    requested_at: float | None
    objects: int
    size_bytes: int
    bad: int
    total_objects: int
    total_bytes: int
    days: float


class PlacedImage(ImageMetadata):
    """Metadata as web shows it: with the image's address and its place in the pool."""

    partition: int
    """1 to 16."""
    node: int | None
    url: str
    immutable_url: str
    """With `?v=`, the first `VERSION_DIGITS` of its SHA-256: what it answers may be kept for ever."""


class ImagePage(TypedDict):
    """One page of a listing; `next` is the cursor of the page after it, None at the end."""

    images: list[ImageMetadata]
    next: str | None


class Neighbours(TypedDict):
    """The keys before and after an image in a listing; None at either end."""

    previous: str | None
    next: str | None


class Usage(TypedDict):
    """How much is stored."""

    images: int
    bytes: int


class TrashUsage(TypedDict):
    """How much is in the trash."""

    trash_images: int
    trash_bytes: int


class WholeUsage(Usage, TrashUsage):
    """Everything that takes room, and how many images are known to be damaged or lost."""

    damaged: int
    lost: int


class TrashEntry(TypedDict):
    """A deleted or replaced image that can be restored `until` then."""

    id: int
    key: str
    version: int
    deleted_at: float
    until: float
    size_bytes: int
    owner: str | None


class TrashPage(TypedDict):
    """One page of the trash; `next` is the cursor of the page after it, None at the end."""

    entries: list[TrashEntry]
    next: str | None


class BatchResult(TypedDict):
    """What became of one operation of a batch."""

    key: str
    status: int
    """As HTTP's; 204 for a deletion, 200 for anything else that was done."""
    detail: NotRequired[str]
    """What is wrong, where something is."""


class StorageHealth(TypedDict):
    """How a storage app fares."""

    readiness: dict[str, Any]
    """As `/readyz` shows it (`http.readiness.Readiness`)."""
    figures: dict[str, float]
    """By their names in `metrics.definitions`."""
    refused_last_hour: dict[str, int]
    """Uploads refused in the last hour, by the slug of the error."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The metadata of one image, as of one version of its key. Times are seconds since the epoch."""

    key: str
    version: int
    """Grows with each change of the key, deletions included."""
    sha256: str
    size_bytes: int
    content_type: str
    format: str
    """JPEG, PNG, GIF, WEBP, AVIF, HEIF, TIFF or BMP, as decoded."""
    width: int
    """As displayed; of images from before `orientation` was kept as stored, until that is known."""
    height: int
    frames: int
    owner: str | None
    """The name of the user who may change it; None if it was uploaded anonymously.

    An image restored from another system may name an owner who has no account here.
    """
    created_at: float
    updated_at: float
    """Grows by at least a second with each change of the key."""
    visibility: Visibility = "public"
    """Records from before there was one have none."""
    stored_width: int | None = None
    """None here, and in all of the following but the last three, means that the image was not examined yet."""
    stored_height: int | None = None
    orientation: int | None = None
    """1 to 8, as in EXIF: how the stored pixels are turned to be displayed."""
    has_alpha: bool | None = None
    has_location: bool | None = None
    """Whether its metadata says where it was taken."""
    location_removed: bool | None = None
    """Whether that was removed from the file when it was uploaded (STRIP_LOCATION)."""
    damaged_tail: bool | None = None
    """Whether the end of the file is missing or damaged, which cost no pixel."""
    colour_profile: str | None = None
    """The name of the embedded profile, if there is one."""
    taken_at: str | None = None
    """When it was taken, ISO 8601, in the camera's time; with an offset if that is known."""
    thumbhash: str | None = None
    """A placeholder: a ThumbHash in base64."""

    @property
    def is_examined(self) -> bool:
        """Whether what uploads are examined for is known; images from older versions are examined later."""
        return self.orientation is not None

    @property
    def etag(self) -> str:
        """The strong entity tag of the bytes, quoted as in the header."""
        return quoted(self.sha256)

    def to_json(self) -> ImageMetadata:
        """The metadata as JSON."""
        return {
            "key": self.key,
            "size_bytes": self.size_bytes,
            "content_type": self.content_type,
            "format": self.format,
            "width": self.width,
            "height": self.height,
            "stored_width": self.stored_width,
            "stored_height": self.stored_height,
            "orientation": self.orientation,
            "frames": self.frames,
            "has_alpha": self.has_alpha,
            "has_location": self.has_location,
            "location_removed": self.location_removed,
            "colour_profile": self.colour_profile,
            "taken_at": self.taken_at,
            "thumbhash": self.thumbhash,
            "damaged_tail": self.damaged_tail,
            "sha256": self.sha256,
            "etag": self.etag,
            "version": self.version,
            "owner": self.owner,
            "visibility": self.visibility,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ImageFacts:
        """Read the output of `to_json`. Raises KeyError if a field is missing."""
        return cls(**{name: value[name] for name in cls.__slots__ if name in value or name not in _LATER})


DETAILS = (
    "stored_width",
    "stored_height",
    "orientation",
    "has_alpha",
    "has_location",
    "location_removed",
    "damaged_tail",
    "colour_profile",
    "taken_at",
    "thumbhash",
)
"""What older versions did not find out about an image."""
_LATER = frozenset({"visibility", *DETAILS})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a change. `user` is None for anonymous callers."""

    user: int | None
    name: str
    admin: bool = False

    def to_json(self) -> dict[str, int | str | bool | None]:
        """The value of `X-Actor`."""
        return {"user": self.user, "name": self.name, "admin": self.admin}

    @classmethod
    def from_header(cls, text: str) -> Actor:
        """Read a value of `X-Actor`. Raises InvalidRequest."""
        try:
            value = json.loads(text)
            user, name, admin = value["user"], value["name"], value["admin"]
            fits = type(user) in (int, type(None)) and isinstance(name, str) and isinstance(admin, bool)
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            raise InvalidRequest('X-Actor must be JSON: {"user": id or null, "name": text, "admin": bool}.')
        return cls(user, name, admin)


def quoted(sha256: str) -> str:
    """A strong entity tag."""
    return f'"{sha256}"'
