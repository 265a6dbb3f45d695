"""Helpers for repeated parts of the document."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_PROBLEMS = {
    400: "Invalid key, parameter or body",
    401: "Credentials are missing or invalid",
    403: "Not allowed for this caller, or requested by a page of another site",
    404: "There is no such image",
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


def header(description: str, schema: Json | None = None) -> Json:
    """A response header."""
    return {"description": description, "schema": schema or {"type": "string"}}


def problems(*statuses: int) -> Json:
    """Responses that are problem documents."""
    return {str(status): _problem(status) for status in statuses}


def _problem(status: int) -> Json:
    answer: Json = {
        "description": _PROBLEMS[status],
        "content": json_content(ref("Problem"), "application/problem+json"),
    }
    if status == 503:
        answer["headers"] = {"Retry-After": header("Seconds", {"type": "integer", "minimum": 0})}
    return answer
