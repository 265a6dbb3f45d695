"""Answers that are errors, as exceptions: those of `core.errors`, by the slug of the problem document."""

from __future__ import annotations

from collections.abc import Mapping

from elastic_images.core.errors import ElasticImagesError, PreconditionFailed, Unavailable
from elastic_images.core.problems import KINDS, Problem, retry_after


class NoAnswer(Unavailable):
    """The connection broke, or the answer did not come in time: what was asked for may have been done, or not."""

    def __init__(self, message: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


class NotConnected(NoAnswer):
    """There is no connection: nothing was sent."""


class UnexpectedAnswer(ElasticImagesError, slug="unexpected-answer"):
    """The answer is none that Elastic Images gives: the URL may be that of something else."""


_BY_STATUS: dict[int, type[ElasticImagesError]] = {}
for _kind in KINDS.values():
    _BY_STATUS.setdefault(_kind.status, _kind)
_OF_PROXIES = frozenset({429, 502, 503, 504})
"""What proxies answer by themselves when they or the system are at capacity, or restart."""


def error_of_status(status: int, detail: str) -> ElasticImagesError:
    """The error for one result among several, which has no slug."""
    return _BY_STATUS.get(status, ElasticImagesError)(detail)


def error_of_answer(place: str, status: int, headers: Mapping[str, str], body: bytes) -> ElasticImagesError:
    """The error in an answer of the server at `place`."""
    problem = Problem.parse(body)
    seconds = retry_after(headers.get("retry-after"))
    if problem is not None:
        kind = KINDS.get(problem.slug)
        error = (kind or _BY_STATUS.get(status, ElasticImagesError))(problem.detail, retry_after_seconds=seconds)
        if kind is None:  # of a newer version
            error.slug, error.status = problem.slug, status  # type: ignore[misc]  # of this one error
        error.request_id = problem.request_id
        return error
    if status == PreconditionFailed.status:  # reads answer it without a body
        return PreconditionFailed("The image has changed: it does not have the given ETag.")
    if status in _OF_PROXIES:
        return Unavailable(f"{place} answered {status}.", retry_after_seconds=seconds)
    if location := headers.get("location"):
        return UnexpectedAnswer(f"{place} redirects to {location}: use the address that it leads to.")
    return UnexpectedAnswer(f"{place} answered {status}, unlike Elastic Images: check the URL.")
