"""The errors that cross package boundaries, each with the HTTP status and the slug that callers see.

Adapters translate their libraries' errors into these; apps turn them into answers. The message of an
`ElasticImagesError` is written for the caller. Any other exception is a bug: it is logged with the request id and shown
as a plain 500.
"""

from __future__ import annotations

from typing import ClassVar

_FIRST_SERVER_ERROR = 500


class ElasticImagesError(Exception):
    """Base of all errors whose message, `str(error)`, may be shown to a caller.

    A subclass names what sets it apart: `class TooLarge(ElasticImagesError, status=413, slug="too-large")`.
    """

    status: ClassVar[int] = 500
    """HTTP status of the answer."""
    slug: ClassVar[str] = "internal-error"
    """Stable name for scripts: the last part of the problem document's `type` (RFC 9457)."""
    title: ClassVar[str] = "Internal error"
    """What this kind of error is called, the same each time; by default made from the slug."""

    def __init_subclass__(cls, *, status: int | None = None, slug: str | None = None, title: str | None = None) -> None:
        super().__init_subclass__()
        if status is not None:
            cls.status = status
        if slug is not None:
            cls.slug, cls.title = slug, title or slug.replace("-", " ").capitalize()

    def __init__(self, message: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.request_id: str | None = None
        """What the log of the system calls the request, if a client was told."""

    @property
    def detail(self) -> str:
        """What is wrong, then what to do."""
        return str(self)

    @property
    def is_ours(self) -> bool:
        """Whether the system is at fault rather than the caller: a status of 500 or above."""
        return self.status >= _FIRST_SERVER_ERROR


class InvalidRequest(ElasticImagesError, status=400, slug="invalid-request"):
    """The request is malformed: a bad parameter or body."""


class InvalidKey(InvalidRequest, slug="invalid-key"):
    """The text is not a key (see `core.keys`)."""


class EmptyBody(InvalidRequest, slug="empty-body"):
    """The upload has no bytes."""


class IncompleteBody(InvalidRequest, slug="incomplete-body"):
    """The upload ended before its announced length, or its digest differs."""


class Unauthenticated(ElasticImagesError, status=401, slug="unauthenticated", title="Authentication required"):
    """The caller is not logged in, or the credentials are wrong."""


class Forbidden(ElasticImagesError, status=403, slug="forbidden"):
    """The caller is known but may not do this."""


class CrossSite(Forbidden, slug="cross-site", title="Request from another site"):
    """A page of another site asked for a change."""


class RenditionNotAllowed(Forbidden, slug="rendition-not-allowed"):
    """Strangers may ask for a bounded number of renditions, and this is none of them."""

    def __init__(self, message: str, *, nearest: str = "", retry_after_seconds: int | None = None) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.nearest = nearest
        """The path of the nearest one that they may ask for, with its query; empty if it is not known."""


class SignatureInvalid(Forbidden, slug="signature-invalid", title="Invalid signature"):
    """A link's signature is wrong, or its key is unknown or revoked."""


class SignatureExpired(Forbidden, slug="signature-expired", title="Expired link"):
    """A link's signature is right, and its time is over."""


class NotFound(ElasticImagesError, status=404, slug="not-found"):
    """There is no such image, user, token or page."""


class RequestTimeout(ElasticImagesError, status=408, slug="request-timeout"):
    """The client sent its request too slowly."""


class Conflict(ElasticImagesError, status=409, slug="conflict"):
    """It exists already, or has changed meanwhile."""


class LinkUsed(Conflict, slug="link-used", title="Link already used"):
    """An upload link is good for one upload."""


class LengthRequired(ElasticImagesError, status=411, slug="length-required"):
    """A public upload needs a Content-Length."""


class PreconditionFailed(ElasticImagesError, status=412, slug="precondition-failed"):
    """If-Match or If-None-Match did not hold."""


class TooLarge(ElasticImagesError, status=413, slug="too-large"):
    """The body is larger than allowed."""


class NotAnImage(ElasticImagesError, status=415, slug="not-an-image"):
    """The bytes are in no supported format."""


class BrokenImage(ElasticImagesError, status=422, slug="broken-image"):
    """The image is in a supported format but damaged, or has too many pixels."""


class TooManyRequests(ElasticImagesError, status=429, slug="too-many-requests"):
    """A limit on attempts was reached."""


class HeadTooLarge(ElasticImagesError, status=431, slug="head-too-large", title="Header fields too large"):
    """The head of a request is larger than allowed."""


class Unavailable(ElasticImagesError, status=503, slug="unavailable"):
    """A dependency does not respond, or the system is at capacity; a retry may succeed."""

    def __init__(self, message: str, *, retry_after_seconds: int | None = 1) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


class StoreAway(Unavailable, slug="store-away"):
    """The object store is absent, empty, or another one: nothing is written or called lost until it is back."""

    def __init__(self, message: str, *, retry_after_seconds: int | None = 5) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


class OutOfSpace(ElasticImagesError, status=507, slug="out-of-space"):
    """The disk or the object store is full."""


class Damaged(ElasticImagesError, slug="damaged"):
    """The stored bytes of an image are not those that were uploaded. A new upload mends it."""


class Lost(ElasticImagesError, slug="lost"):
    """The object store does not have the bytes of an image. A new upload mends it."""


class NotMine(ElasticImagesError, status=421, slug="not-mine"):
    """By its own map, a node does not serve the key's partition. Only nodes answer this, to web and to peers."""


class BackupDamaged(ElasticImagesError, slug="backup-damaged"):
    """A backup does not contain what its record promises."""


class DatabaseDamaged(ElasticImagesError, slug="database-damaged"):
    """The database is damaged and must be restored."""
