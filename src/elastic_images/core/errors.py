"""The errors that cross a room's door, each with the HTTP status and the word that a caller sees.

An adapter turns its library's errors into one of these; an app turns one of these into an answer. The message of an
`ElasticImagesError` is written for the caller and may be shown to him; anything else that is raised is ours, is
logged with its request id, and is shown as a plain 500.
"""

from __future__ import annotations

from typing import ClassVar

_FIRST_SERVER_ERROR = 500


class ElasticImagesError(Exception):
    """Base of all errors that may be shown to a caller. `str(error)` is the message."""

    status: ClassVar[int] = 500
    """HTTP status of the answer."""
    slug: ClassVar[str] = "internal-error"
    """Stable word for scripts: the last part of the problem document's `type` (RFC 9457)."""
    title: ClassVar[str] = "Internal error"
    """What this kind of error is called, the same for all its occurrences."""

    def __init__(self, message: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds

    @property
    def is_ours(self) -> bool:
        """Whether the fault is the system's and not the caller's: a status of 500 or above."""
        return self.status >= _FIRST_SERVER_ERROR


class InvalidRequest(ElasticImagesError):
    """The request cannot be understood: a bad parameter, a bad body."""

    status, slug, title = 400, "invalid-request", "Invalid request"


class InvalidKey(InvalidRequest):
    """The text is not a key (see `core.keys`)."""

    slug, title = "invalid-key", "Invalid key"


class EmptyBody(InvalidRequest):
    """The upload has no bytes."""

    slug, title = "empty-body", "Empty body"


class IncompleteBody(InvalidRequest):
    """The upload ended before its announced length, or its digest is another one."""

    slug, title = "incomplete-body", "Incomplete body"


class Unauthenticated(ElasticImagesError):
    """Nobody is logged in, or the credentials are wrong."""

    status, slug, title = 401, "unauthenticated", "Authentication required"


class Forbidden(ElasticImagesError):
    """The caller is known and may not do this."""

    status, slug, title = 403, "forbidden", "Forbidden"


class CrossSite(Forbidden):
    """A change was asked for by a page of another site."""

    slug, title = "cross-site", "Request from another site"


class NotFound(ElasticImagesError):
    """There is no such image, user, token or page."""

    status, slug, title = 404, "not-found", "Not found"


class Conflict(ElasticImagesError):
    """The thing exists already, or changed meanwhile."""

    status, slug, title = 409, "conflict", "Conflict"


class LengthRequired(ElasticImagesError):
    """A public upload needs a Content-Length."""

    status, slug, title = 411, "length-required", "Length required"


class PreconditionFailed(ElasticImagesError):
    """If-Match or If-None-Match did not hold."""

    status, slug, title = 412, "precondition-failed", "Precondition failed"


class TooLarge(ElasticImagesError):
    """More bytes than the limit."""

    status, slug, title = 413, "too-large", "Too large"


class NotAnImage(ElasticImagesError):
    """The bytes are of no format that is stored."""

    status, slug, title = 415, "not-an-image", "Not an image"


class BrokenImage(ElasticImagesError):
    """The bytes are of a known format, but cannot be decoded whole, or have too many pixels."""

    status, slug, title = 422, "broken-image", "Broken image"


class TooManyRequests(ElasticImagesError):
    """A limit on attempts was reached."""

    status, slug, title = 429, "too-many-requests", "Too many requests"


class Unavailable(ElasticImagesError):
    """Something that is needed does not answer, or all places are taken; asking again later may succeed."""

    status, slug, title = 503, "unavailable", "Unavailable"

    def __init__(self, message: str, *, retry_after_seconds: int | None = 1) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


class OutOfSpace(ElasticImagesError):
    """The disk or the object store has no room."""

    status, slug, title = 507, "out-of-space", "Out of space"


class NotMine(ElasticImagesError):
    """A node does not own the partition of the key by its own map. Only nodes say so, to web and to peers."""

    status, slug, title = 421, "not-mine", "Not mine"
