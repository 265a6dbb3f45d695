"""Errors of an S3 service, and what they mean to the store's callers. Independent of boto3."""

from __future__ import annotations

from elastic_images.aws.refusals import THROTTLED, refusal
from elastic_images.core.errors import ElasticImagesError, OutOfSpace, Unavailable

MISSING = frozenset({"NoSuchKey", "404"})
NO_BUCKET = "NoSuchBucket"
EXISTS = frozenset({"PreconditionFailed", "412"})
UPLOAD_GONE = frozenset({"NoSuchUpload"})
UNCONDITIONAL = (
    "overwrites objects although the request forbids it (If-None-Match). Use another service, or add "
    "conditional_writes=off to its URL (docs/aws.md says what that means)"
)

_TEMPORARY = frozenset(
    {
        "SlowDown",
        "RequestTimeout",
        "InternalError",
        "ServiceUnavailable",
        # Another request for the same key was in progress.
        "ConditionalRequestConflict",
        "OperationAborted",
        # The bytes were damaged in transit.
        "BadDigest",
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
        "IncompleteBody",
        *THROTTLED,
    }
)
_TEMPORARY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_UNSUPPORTED_STATUSES = frozenset({400, 405, 501})
_NO_ROOM = frozenset({"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "NotEnoughSpace"})
_NO_ROOM_STATUS = 507
_FORBIDDEN = frozenset({"AllAccessDisabled", "AccountProblem", "InvalidObjectState"})
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
)


class S3Error(Exception):
    """A failed call: the service's error code, or the name of the library's error, and the HTTP status."""

    def __init__(self, code: str, status: int | None, *, operation: str, connection: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.operation = operation
        """The S3 operation, such as `PutObject`; also the permission that it needs."""
        self.connection = connection
        """No complete answer came, so the operation may have taken effect or not."""

    @property
    def temporary(self) -> bool:
        """Whether a retry may help."""
        return self.connection or self.code in _TEMPORARY or self.status in _TEMPORARY_STATUSES

    @property
    def unsupported(self) -> bool:
        """Whether the service may lack this operation, or one of its headers."""
        known = self.temporary or refusal(self.code, self.operation) or self.code in _ELSEWHERE
        return self.status in _UNSUPPORTED_STATUSES and not known


def is_temporary(error: Exception) -> bool:
    """Whether a retry may help (for `Repeater`)."""
    return isinstance(error, S3Error) and error.temporary


def as_ours(error: S3Error, place: str) -> ElasticImagesError:
    """The error for the store's callers. `place` is the store's URL, which holds no secret."""
    code = error.code
    if code in _NO_ROOM or error.status == _NO_ROOM_STATUS:
        return OutOfSpace(f"The object store {place} is full ({code}).")
    return Unavailable(f"The object store {place} {_what(error)}.")


def _what(error: S3Error) -> str:
    code = error.code
    if code == NO_BUCKET:
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
    if error.unsupported:
        return f"does not accept {error.operation} ({code}): `elastic-images doctor` finds out what it needs"
    return f"failed at {error.operation} ({code})"
