"""The routes of the trash."""

from __future__ import annotations

from typing import Any

from elastic_images.core.keys import MAX_KEY_CHARACTERS
from elastic_images.web.openapi.parts import json_content, parameter, problems, ref
from elastic_images.web.rest.api import DEFAULT_LIMIT, MAX_LIMIT
from elastic_images.web.rest.trash import MAX_IDS

Json = dict[str, Any]

_PREFIX = {"type": "string", "maxLength": MAX_KEY_CHARACTERS}


def trash_paths() -> Json:
    """Paths of tag `trash`."""
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    ids = {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 1,
        "maxItems": MAX_IDS,
        "uniqueItems": True,
    }
    one_of = [{"required": ["ids"]}, {"required": ["key"]}]
    wanted = {"type": "object", "properties": {"ids": ids, "key": ref("Key")}, "oneOf": one_of}
    purged = {"type": "object", "properties": {"purged": {"type": "integer", "minimum": 0}}, "required": ["purged"]}
    return {
        "/api/trash": {
            "get": {
                "tags": ["trash"],
                "operationId": "listTrash",
                "summary": "Deleted and replaced images that the caller may restore, by key, then oldest first",
                "parameters": [
                    parameter("prefix", "query", _PREFIX, "Only keys with this prefix"),
                    parameter("limit", "query", limit),
                    parameter("cursor", "query", {"type": "string"}, "`next` from the previous page"),
                ],
                "responses": {
                    "200": {"description": "A page", "content": json_content(ref("TrashPage"))},
                    **problems(400, 401, 403, 503),
                },
            }
        },
        "/api/trash/restore": {
            "post": _post(
                "restoreImages",
                "Restore the entries with these ids, or the newest one of a key. An image that is there now goes into "
                "the trash",
                wanted,
                ref("TrashResults"),
            )
        },
        "/api/trash/purge": {
            "post": _post(
                "purgeTrash",
                "Remove entries for good. Administrators only",
                {"type": "object", "properties": {"prefix": _PREFIX}},
                purged,
            )
        },
    }


def _post(operation: str, summary: str, body: Json, answer: Json) -> Json:
    return {
        "tags": ["trash"],
        "operationId": operation,
        "summary": summary,
        "requestBody": {"required": True, "content": json_content(body)},
        "responses": {
            "200": {"description": "Done; each result has its own status", "content": json_content(answer)},
            **problems(400, 401, 403, 503),
        },
    }
