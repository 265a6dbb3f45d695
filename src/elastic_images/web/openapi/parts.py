"""Helpers for repeated parts of the document."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from elastic_images.core.keys import MAX_KEY_CHARACTERS
from elastic_images.web.rest.api import DEFAULT_LIMIT, MAX_LIMIT

Json = dict[str, Any]

_PROBLEMS = {
    400: "Invalid key, parameter or body",
    401: "Credentials are missing or invalid",
    403: "Not allowed for this caller, or requested by a page of another site",
    404: "There is no such image, or none that the caller may see",
    409: "The new name or key is taken, or there are too many",
    411: "An upload needs a Content-Length",
    412: "If-Match or If-None-Match failed",
    413: "Larger than the limit",
    415: "Unsupported format",
    422: "Truncated or damaged",
    500: "The stored bytes are damaged or lost; a new upload mends it",
    503: "A required service is not responding; see Retry-After",
    507: "Out of storage space; nothing was changed",
}


def ref(name: str) -> Json:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_content(schema: Json, media_type: str = "application/json") -> Json:
    """The `content` of a body with one media type."""
    return {media_type: {"schema": schema}}


def parameter(name: str, where: str, schema: Json, description: str = "", *, required: bool = False) -> Json:
    """A parameter in `query`, `header` or `path`."""
    found: Json = {"name": name, "in": where, "required": required, "schema": schema}
    return found | ({"description": description} if description else {})


def operation(tag: str, name: str, summary: str, answers: Json, statuses: Collection[int] = (), **more: Any) -> Json:
    """A method of a path: its answers, and the problem documents with these statuses."""
    return {
        "tags": [tag],
        "operationId": name,
        "summary": summary,
        **more,
        "responses": {**answers, **{str(status): _problem(status) for status in statuses}},
    }


def ok(description: str, schema: Json) -> Json:
    """The answer 200, as JSON."""
    return {"200": {"description": description, "content": json_content(schema)}}


def header(description: str, schema: Json | None = None) -> Json:
    """A response header."""
    return {"description": description, "schema": schema or {"type": "string"}}


def _problem(status: int) -> Json:
    answer: Json = {
        "description": _PROBLEMS[status],
        "content": json_content(ref("Problem"), "application/problem+json"),
    }
    if status == 503:
        answer["headers"] = {"Retry-After": header("Seconds", {"type": "integer", "minimum": 0})}
    return answer


PREFIX: Json = {"type": "string", "maxLength": MAX_KEY_CHARACTERS}
PAGE_PARAMETERS = [
    parameter("prefix", "query", PREFIX, "Only keys with this prefix"),
    parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
    parameter("cursor", "query", {"type": "string"}, "`next` from the previous page"),
]
"""Of a listing."""
