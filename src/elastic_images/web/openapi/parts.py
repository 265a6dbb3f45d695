"""Pieces that the document repeats."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_PROBLEMS = {
    400: "The key, a parameter or the body makes no sense",
    401: "Nobody is logged in, or the token is wrong",
    403: "Not allowed to this caller, or asked for by a page of another site",
    404: "There is no such image",
    411: "An upload needs a Content-Length",
    412: "If-Match or If-None-Match did not hold",
    413: "More bytes than the limit",
    415: "None of the formats that are stored",
    422: "Cut off, damaged, or too many pixels",
    503: "Something that is needed does not answer; Retry-After says when to come back",
    507: "No room is left; nothing was changed",
}


def ref(name: str) -> Json:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_content(schema: Json, media_type: str = "application/json") -> Json:
    """The `content` of a body of one media type."""
    return {media_type: {"schema": schema}}


def parameter(name: str, where: str, schema: Json, description: str = "", *, required: bool = False) -> Json:
    """A parameter in `query`, `header` or `path`."""
    found: Json = {"name": name, "in": where, "required": required, "schema": schema}
    return found | ({"description": description} if description else {})


def header(description: str, schema: Json | None = None) -> Json:
    """A header of an answer."""
    return {"description": description, "schema": schema or {"type": "string"}}


def problems(*statuses: int) -> Json:
    """Answers that are problem documents."""
    return {str(status): _problem(status) for status in statuses}


def _problem(status: int) -> Json:
    answer: Json = {
        "description": _PROBLEMS[status],
        "content": json_content(ref("Problem"), "application/problem+json"),
    }
    if status == 503:
        answer["headers"] = {"Retry-After": header("Seconds", {"type": "integer", "minimum": 0})}
    return answer
