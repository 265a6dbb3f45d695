"""Schemas of keys, metadata and errors."""

from __future__ import annotations

from typing import Any

from elastic_images.core.keys import MAX_KEY_CHARACTERS
from elastic_images.core.restored_facts import MAX_KEPT_VERSION
from elastic_images.core.visibility import VISIBILITIES
from elastic_images.web.openapi.parts import ref

Json = dict[str, Any]

_TIME = {"type": "number", "description": "Seconds since 1970-01-01 UTC"}


def _object(properties: Json, *, optional: tuple[str, ...] = (), description: str = "") -> Json:
    found: Json = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
    return found | ({"description": description} if description else {})


def _course_answer(**facts: Json) -> Json:
    """A course API answer: success with `facts`, or an error."""
    success = _object({"success": {"const": "true"}, **facts})
    return {"oneOf": [success, ref("CourseError")]}


def _fact(kind: str, description: str, **bounds: int) -> Json:
    """A fact that is null until an image from an older version has been examined."""
    return {"type": [kind, "null"], "description": description, **bounds}


_METADATA: Json = {
    "key": ref("Key"),
    "size_bytes": {"type": "integer", "minimum": 1},
    "content_type": {"type": "string", "pattern": "^image/"},
    "format": {"enum": ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "TIFF", "BMP"]},
    "width": {"type": "integer", "minimum": 1, "description": "In pixels, as displayed: after orientation"},
    "height": {"type": "integer", "minimum": 1},
    "stored_width": _fact("integer", "In pixels, as stored", minimum=1),
    "stored_height": _fact("integer", "In pixels, as stored", minimum=1),
    "orientation": _fact("integer", "How the stored pixels are turned, as in EXIF", minimum=1, maximum=8),
    "frames": {"type": "integer", "minimum": 1},
    "has_alpha": _fact("boolean", "Whether pixels can be transparent"),
    "has_location": _fact("boolean", "Whether the file says where the picture was taken"),
    "location_removed": _fact("boolean", "Whether that was removed when it was uploaded"),
    "colour_profile": _fact("string", "The embedded profile's name; null if there is none"),
    "taken_at": _fact("string", "When it was taken, ISO 8601, by the camera's clock; null if the file does not say"),
    "thumbhash": _fact("string", "A placeholder to show while it loads: a ThumbHash in base64"),
    "damaged_tail": _fact("boolean", "Whether the end of the file is missing or damaged, which cost no pixel"),
    "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "etag": {"type": "string", "pattern": '^"[^"]+"$'},
    "version": {"type": "integer", "minimum": 1, "description": "Grows with each change of the key"},
    "owner": {"type": ["string", "null"], "description": "The user who uploaded it"},
    "created_at": _TIME,
    "updated_at": _TIME,
    "visibility": ref("Visibility"),
    "partition": {"type": "integer", "minimum": 1, "maximum": 16, "description": "The range of the key's hash"},
    "node": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": 7,
        "description": "The slot of the node that owns the partition; null while no pool is known",
    },
    "url": {"type": "string", "description": "The path of the image on this host"},
    "immutable_url": {"type": "string", "description": "The same with `v`: its answer may be kept for ever"},
}

_SIGNING_KEY: Json = {
    "id": {"type": "string", "pattern": "^[0-9a-f]{8}$"},
    "user": {"type": "string", "description": "The owner: its links open what they may see"},
    "name": {"type": "string", "description": "What it is for"},
    "created_at": _TIME,
    "last_used_at": _TIME | {"type": ["number", "null"], "description": "To the minute"},
    "revoked_at": _TIME | {"type": ["number", "null"]},
}

SCHEMAS: Json = {
    "Key": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY_CHARACTERS,
        "description": "Unicode in normal form C; no control characters; no empty, `.` or `..` segment between its "
        "slashes; no slash at either end",
    },
    "Visibility": {"enum": list(VISIBILITIES), "description": "Who sees the image"},
    "RestoredFacts": _object(
        {
            "owner": {
                "type": ["string", "null"],
                "description": "A user name. Without such a user here, only administrators may change the image",
            },
            "created_at": _TIME,
            "updated_at": _TIME,
            "version": {"type": "integer", "minimum": 1, "maximum": MAX_KEPT_VERSION},
            "visibility": ref("Visibility"),
        },
        optional=("visibility",),
        description="An image's history from another system",
    ),
    "Image": _object(_METADATA, description="An image's metadata"),
    "ImageList": _object(
        {
            "images": {"type": "array", "items": ref("Image")},
            "next": {"type": ["string", "null"], "description": "The cursor of the next page; null on the last"},
        }
    ),
    "TrashPage": _object(
        {
            "entries": {
                "type": "array",
                "items": _object(
                    {
                        "id": {"type": "integer", "minimum": 1},
                        "key": ref("Key"),
                        "version": _METADATA["version"],
                        "deleted_at": _TIME,
                        "until": _TIME | {"description": "When it is removed for good"},
                        "size_bytes": _METADATA["size_bytes"],
                        "owner": _METADATA["owner"],
                    }
                ),
            },
            "next": {"type": ["string", "null"], "description": "The cursor of the next page; null on the last"},
        }
    ),
    "TrashResults": _object(
        {
            "results": {
                "type": "array",
                "items": _object(
                    {
                        "id": {"type": ["integer", "null"]},
                        "key": {"type": ["string", "null"]},
                        "status": {"type": "integer", "description": "200, or as of an error"},
                        "detail": {"type": "string", "description": "Why it failed"},
                    },
                    optional=("detail",),
                ),
            }
        },
        description="One result for each entry, in order",
    ),
    "Link": _object(
        {
            "url": {"type": "string", "format": "uri", "description": "The link"},
            "expires_at": {"type": "integer", "description": "When it ends: seconds since 1970-01-01 UTC"},
        }
    ),
    "UploadLink": _object(
        {
            "url": {"type": "string", "description": "Of a prefix: with `{name}` for the rest of the key"},
            "expires_at": {"type": "integer", "description": "When it ends: seconds since 1970-01-01 UTC"},
            "max_bytes": {"type": "integer", "minimum": 1},
        }
    ),
    "SigningKeys": _object({"keys": {"type": "array", "items": _object(_SIGNING_KEY)}}),
    "NewSigningKey": _object(
        _SIGNING_KEY | {"secret": {"type": "string", "description": "Signs links; see docs/links.md"}}
    ),
    "BatchResults": _object(
        {
            "results": {
                "type": "array",
                "items": _object(
                    {
                        "key": ref("Key"),
                        "status": {"type": "integer", "description": "As if the operation had been sent alone"},
                        "detail": {"type": "string", "description": "Why it failed"},
                    },
                    optional=("detail",),
                ),
            }
        },
        description="One result for each operation, in order",
    ),
    "Problem": {
        "type": "object",
        "description": "A problem document (RFC 9457). The last part of `type` is stable, for scripts.",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
            "instance": {"type": "string", "description": "The request id, as in the server's log"},
        },
        "required": ["type", "title", "status", "detail"],
    },
    "CourseError": _object(
        {
            "success": {"const": "false"},
            "error": _object({"code": {"type": "integer"}, "message": {"type": "string"}}),
        }
    ),
    "CourseDone": _course_answer(),
    "CourseKey": _course_answer(key=ref("Key")),
    "CourseKeys": _course_answer(keys={"type": "array", "items": ref("Key")}),
    "CourseContent": _course_answer(key=ref("Key"), content={"type": "string", "contentEncoding": "base64"}),
    "CourseConfig": _course_answer(
        mode={"enum": ["manual", "auto"]},
        numNodes={"type": "integer", "minimum": 1, "maximum": 8},
        cacheSize={"type": "integer", "minimum": 1},
        policy={"enum": ["RR", "LRU", "GDSF", "S3FIFO"]},
    ),
    "CourseNumNodes": _course_answer(numNodes={"type": "integer", "minimum": 1, "maximum": 8}),
    "CourseRate": _course_answer(
        rate={"enum": ["hit", "miss"]},
        value={
            "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"const": -1}],
            "description": "Over the last minute; -1 without requests",
        },
    ),
}
