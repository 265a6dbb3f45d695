"""What an S3 service says when it fails, and what that is for us. Knows no library."""

from __future__ import annotations

from elastic_images.aws.refusals import THROTTLED, refusal
from elastic_images.core.errors import ElasticImagesError, OutOfSpace, Unavailable

MISSING = frozenset({"NoSuchKey", "404"})
EXISTS = frozenset({"PreconditionFailed", "412"})
UPLOAD_GONE = frozenset({"NoSuchUpload"})

_TEMPORARY = frozenset(
    {
        "SlowDown",
        "RequestTimeout",
        "InternalError",
        "ServiceUnavailable",
        # Another request on the same name was under way.
        "ConditionalRequestConflict",
        "OperationAborted",
        # The bytes changed on their way there.
        "BadDigest",
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
        "IncompleteBody",
        *THROTTLED,
    }
)
_TEMPORARY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_NO_ROOM = frozenset({"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "NotEnoughSpace"})
_NO_ROOM_STATUS = 507
_FORBIDDEN = frozenset({"AllAccessDisabled", "AccountProblem", "InvalidObjectState"})
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
)


class S3Error(Exception):
    """A call that failed: the service's word for it, or the name of the library's error, and the HTTP status."""

    def __init__(self, code: str, status: int | None, *, operation: str, connection: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.operation = operation
        """What was asked for, in the service's words: `PutObject`. Also the name of the permission that it needs."""
        self.connection = connection
        """No whole answer came: whether the service did what it was asked is not known."""

    @property
    def temporary(self) -> bool:
        """Whether asking again may help."""
        return self.connection or self.code in _TEMPORARY or self.status in _TEMPORARY_STATUSES


def is_temporary(error: Exception) -> bool:
    """For `Repeater`."""
    return isinstance(error, S3Error) and error.temporary


def as_ours(error: S3Error, place: str) -> ElasticImagesError:
    """The error that the caller of the store sees. `place` is the store's URL, which has no secret in it."""
    code = error.code
    if code in _NO_ROOM or error.status == _NO_ROOM_STATUS:
        return OutOfSpace(f"The object store {place} has no room ({code}).")
    return Unavailable(f"The object store {place} {_what(error)}.")


def _what(error: S3Error) -> str:
    code = error.code
    if code == "NoSuchBucket":
        return "has no such bucket"
    refused = refusal(code, error.operation)
    if refused is not None:
        return refused
    if code in _FORBIDDEN:
        return f"does not allow {error.operation} to these credentials ({code})"
    if code in _ELSEWHERE:
        return f"is in another region: set AWS_DEFAULT_REGION ({code})"
    if error.connection:
        return f"does not answer ({code})"
    return f"failed at {error.operation} ({code})"
