"""Answers of the data planes, which stand in front of Flask."""

from __future__ import annotations

import json

from elastic_images.core.entry import Headers
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.serving import Answer
from elastic_images.internal_http import problem


def error_answer(error: ElasticImagesError) -> Answer:
    """The problem document (RFC 9457) for an error."""
    body = json.dumps(problem(error)).encode()
    headers: Headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if error.retry_after_seconds is not None:
        headers.append(("Retry-After", str(error.retry_after_seconds)))
    return Answer(f"{error.status} {error.title}", headers, body)
