"""Errors on the wire: problem documents (RFC 9457), written and read.

Importing this module loads neither Flask nor SQLAlchemy: the CLI and the nodes use it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, TypedDict

from elastic_images.core.entry import Headers
from elastic_images.core.errors import ElasticImagesError, OutOfSpace, Unauthenticated, Unavailable
from elastic_images.core.problems import KINDS, PROBLEM_TYPE_PREFIX, REQUEST_ID_PREFIX, Problem, retry_after
from elastic_images.http.answer import Answer

if TYPE_CHECKING:
    from flask import Response

_log = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"
_DATABASE_ERRORS = {"sqlalchemy.exc.OperationalError", "sqlalchemy.exc.InterfaceError", "sqlalchemy.exc.TimeoutError"}
_UNSPECIFIC_ERROR = "sqlalchemy.exc.DatabaseError"
"""What SQLite's errors about a damaged file become. Its subclasses include our own mistakes, such as a wrong query."""


class _Required(TypedDict):
    type: str
    title: str
    status: int
    detail: str


class ProblemDocument(_Required, total=False):
    """A problem document. `instance` names the request in the log."""

    instance: str


def problem_document(error: ElasticImagesError, *, request_id: str | None = None) -> ProblemDocument:
    """The document for an error."""
    document: ProblemDocument = {
        "type": PROBLEM_TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": str(error),
    }
    if request_id is not None:
        document["instance"] = REQUEST_ID_PREFIX + request_id
    return document


def problem_answer(error: ElasticImagesError) -> Answer:
    """The answer of a data plane, which has no Flask."""
    body = json.dumps(problem_document(error)).encode()
    headers: Headers = [
        ("Content-Type", CONTENT_TYPE),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if error.retry_after_seconds is not None:
        headers.append(("Retry-After", str(error.retry_after_seconds)))
    return Answer(f"{error.status} {error.title}", headers, body)


def problem_response(error: ElasticImagesError, request_id: str) -> Response:
    """The answer of a Flask app."""
    from flask import Response

    document = problem_document(error, request_id=request_id)
    response = Response(json.dumps(document), status=error.status, content_type=CONTENT_TYPE)
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def error_from_answer(status: int, headers: Mapping[str, str], body: bytes) -> ElasticImagesError:
    """The error that another of our processes answered with; Unavailable if the body is no document of ours.

    `headers` must find lower-case names.
    """
    problem = Problem.parse(body)
    kind = None if problem is None else KINDS.get(problem.slug)
    if problem is None or kind is None:
        return Unavailable(f"Another process answered {status}.")
    return kind(problem.detail, retry_after_seconds=retry_after(headers.get("retry-after")))


def public_error(error: Exception, request_id: str) -> ElasticImagesError:
    """The error that may be shown to the client. Unexpected errors are logged under the request's id."""
    if isinstance(error, ElasticImagesError):
        return error
    if is_database_error(error):
        if "disk is full" in str(error):  # SQLite's words
            _log.warning("request %s: the database has no room", request_id)
            return OutOfSpace("The database has no room.")
        if _is_damage(error):
            _log.error("request %s: the database is damaged: %s", request_id, error)
            return Unavailable("The database is damaged. An administrator must restore it (`elastic-images doctor`).")
        _log.warning("request %s: the database does not answer: %s", request_id, type(error).__name__)
        return Unavailable("The database does not answer.")
    _log.error("request %s failed", request_id, exc_info=error)
    return ElasticImagesError(f"Something went wrong. The log has details under request id {request_id}.")


def is_ours(slug: str) -> bool:
    """Whether the system is to blame for errors with this slug, rather than the caller."""
    kind = KINDS.get(slug)
    return kind is None or kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def is_database_error(error: Exception) -> bool:
    """Whether it is SQLAlchemy's word for a database that does not answer."""
    # By name: an app that never opens the database must not import SQLAlchemy for this.
    names = [f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__]
    return names[0] == _UNSPECIFIC_ERROR or any(name in _DATABASE_ERRORS for name in names)


def _is_damage(error: Exception) -> bool:
    name: str = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
