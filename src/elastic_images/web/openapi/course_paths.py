"""The routes of the course API."""

from __future__ import annotations

from typing import Any

from elastic_images.web.openapi.parts import json_content, ok, operation, parameter, ref

Json = dict[str, Any]

_REFUSED = {
    401: "Credentials are missing or invalid",
    403: "Not allowed for this caller, or requested by a page of another site",
    503: "A required service is not responding",
}
_SETTINGS: Json = {
    "mode": {"enum": ["manual", "auto"]},
    "numNodes": {"type": "integer", "minimum": 1, "maximum": 8, "description": "The wanted size"},
    "cacheSize": {"type": "integer", "minimum": 1, "description": "MB per node"},
    "policy": {"enum": ["RR", "LRU", "GDSF", "S3FIFO"], "description": "RR is random replacement"},
    "expRatio": {"type": "number", "exclusiveMinimum": 1},
    "shrinkRatio": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "maxMiss": {"type": "number", "minimum": 0, "maximum": 1},
    "minMiss": {"type": "number", "minimum": 0, "maximum": 1},
}


def course_paths() -> Json:
    """Paths of tag `course`; each also works with a trailing slash."""
    form = {
        "type": "object",
        "properties": {"key": ref("Key"), "file": {"type": "string", "format": "binary"}},
        "required": ["key", "file"],
    }
    key = {"parameters": [{"$ref": "#/components/parameters/Key"}]}
    return {
        "/api/upload": _call("upload", "Store an image", "CourseKey", body=json_content(form, "multipart/form-data")),
        "/api/list_keys": _call("listKeys", "All keys", "CourseKeys"),
        "/api/key/{key}": key | _call("getKey", "An image in base64; code 404 for an unknown key", "CourseContent"),
        "/api/delete_all": _call("deleteAll", "Delete every image", "CourseDone"),
        "/api/configure_cache": _call(
            "configureCache",
            "Change any of the pool's settings, all or nothing",
            "CourseConfig",
            query=[parameter(name, "query", schema) for name, schema in _SETTINGS.items()],
        ),
        "/api/getNumNodes": _call("getNumNodes", "The wanted size of the pool", "CourseNumNodes"),
        "/api/getRate": _call(
            "getRate",
            "Hit or miss rate of the last minute",
            "CourseRate",
            query=[parameter("rate", "query", {"enum": ["hit", "miss"]}, required=True)],
        ),
    }


def _call(name: str, summary: str, schema: str, *, query: list[Json] | None = None, body: Json | None = None) -> Json:
    """A POST whose own errors have status 200."""
    answers = ok("Success, or the error", ref(schema)) | {
        str(status): {"description": text, "content": json_content(ref("CourseError"))}
        for status, text in _REFUSED.items()
    }
    more: Json = {"parameters": query} if query else {}
    if body:
        more["requestBody"] = {"required": True, "content": body}
    return {"post": operation("course", name, summary, answers, **more)}
