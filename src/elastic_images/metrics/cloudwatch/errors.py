"""CloudWatch's errors, and how they become ours. Knows no library."""

from __future__ import annotations

from elastic_images.aws.refusals import refusal
from elastic_images.core.errors import ElasticImagesError, InvalidRequest, Unavailable

GONE = frozenset({"ResourceNotFound", "ResourceNotFoundException", "DashboardNotFoundError"})

_BAD_VALUES = frozenset(
    {
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "InvalidParameterInput",
        "MissingParameter",
        "MissingRequiredParameterException",
        "ValidationError",
        "ValidationException",
        "InvalidFormat",
        "SerializationException",
        "ParamValidationError",
    }
)


class CloudWatchError(Exception):
    """A call that failed: the service's word for it, or the name of the library's error."""

    def __init__(self, code: str, *, operation: str, answered: bool, perhaps_done: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.operation = operation
        """What was asked for, in the service's words: `PutMetricData`. Also the name of the permission it needs."""
        self.answered = answered
        """The service said so itself."""
        self.perhaps_done = perhaps_done
        """The connection was lost behind the request: whether the service did what it was asked is not known."""


def as_ours(trouble: CloudWatchError) -> ElasticImagesError:
    """The error that a caller sees. No text of a library's is in it."""
    if trouble.code in _BAD_VALUES:
        return InvalidRequest(f"CloudWatch rejected the arguments of {trouble.operation} ({trouble.code}).")
    return Unavailable(f"CloudWatch {_what(trouble)}.")


def _what(trouble: CloudWatchError) -> str:
    code = trouble.code
    refused = refusal(code, f"cloudwatch:{trouble.operation}")
    if refused is not None:
        return refused
    if not trouble.answered:
        return f"does not answer ({code})"
    return f"failed at {trouble.operation} ({code})"
