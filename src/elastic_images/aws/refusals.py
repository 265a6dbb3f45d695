"""The refusals that all AWS services share, by error code. Knows no library."""

from __future__ import annotations

from elastic_images.aws.dead_proxy import dead_proxy

THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "EC2ThrottledException",
        "RequestLimitExceeded",
        "TooManyRequests",
        "TooManyRequestsException",
    }
)
"""Not processed; may succeed if called less often."""

_NO_CREDENTIALS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}
)
_BAD_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnauthorizedSSOTokenError",
        "UnrecognizedClientException",
    }
)
_WRONG_CLOCK = frozenset({"RequestExpired", "RequestExpiredException", "RequestTimeTooSkewed"})
_FORBIDDEN = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "401", "403"}
)


def refusal(code: str, action: str) -> str | None:
    """What a code means, as the end of a sentence that starts with the service; None for other codes.

    `action` is the refused action, as a policy names it.
    """
    if code in _NO_CREDENTIALS:
        return f"needs AWS credentials, and none were found ({code})"
    if code in _WRONG_CLOCK:
        return f"does not accept requests from this machine, whose clock is wrong ({code})"
    if code in _BAD_CREDENTIALS:
        return f"does not accept the AWS credentials ({code})"
    if code in _FORBIDDEN:
        return f"does not allow {action} to these credentials ({code})"
    return f"throttles this account ({code})" if code in THROTTLED else dead_proxy(code)
