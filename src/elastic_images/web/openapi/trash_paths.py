"""The routes of the trash."""

from __future__ import annotations

from typing import Any

from elastic_images.web.openapi.parts import PAGE_PARAMETERS, PREFIX, json_content, ok, operation, ref
from elastic_images.web.rest.trash import MAX_IDS

Json = dict[str, Any]

_STATUSES = (400, 401, 403, 503)


def trash_paths() -> Json:
    """Paths of tag `trash`."""
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
    summary = "Deleted and replaced images that the caller may restore, by key, then oldest first"
    page = operation(
        "trash", "listTrash", summary, ok("A page", ref("TrashPage")), _STATUSES, parameters=PAGE_PARAMETERS
    )
    return {
        "/api/trash": {"get": page},
        "/api/trash/restore": _post(
            "restoreImages",
            "Restore the entries with these ids, or the newest one of a key. An image that is there now goes into "
            "the trash",
            wanted,
            ref("TrashResults"),
        ),
        "/api/trash/purge": _post(
            "purgeTrash",
            "Remove entries for good. Administrators only",
            {"type": "object", "properties": {"prefix": PREFIX}},
            purged,
        ),
    }


def _post(name: str, summary: str, body: Json, answer: Json) -> Json:
    done = ok("Done; each result has its own status", answer)
    sent = {"required": True, "content": json_content(body)}
    return {"post": operation("trash", name, summary, done, _STATUSES, requestBody=sent)}
