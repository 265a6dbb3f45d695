"""The routes of the REST API, and the image itself."""

from __future__ import annotations

from typing import Any

from elastic_images.core.rendition_spec import FITS, FORMATS, GRAVITIES, MAX_SIDE
from elastic_images.core.renditions import PRESETS
from elastic_images.core.visibility import VISIBILITY_HEADER
from elastic_images.web.openapi.parts import PAGE_PARAMETERS, header, json_content, ok, operation, parameter, ref
from elastic_images.web.rest.batch import MAX_DIGESTS, MAX_OPERATIONS

Json = dict[str, Any]

_KEY = {"$ref": "#/components/parameters/Key"}
_ETAG = {"ETag": header("Of the image's bytes")}
_IMAGE: Json = {"headers": _ETAG, "content": json_content(ref("Image"))}
_IF_MATCH = parameter("If-Match", "header", {"type": "string"}, "Only if the image has this ETag, otherwise 412")
_KEEP_FACTS = parameter(
    "X-Keep-Facts",
    "header",
    {"type": "string", "contentMediaType": "application/json", "contentSchema": ref("RestoredFacts")},
    "Administrators only (403): restore the image's owner, times and version. If the key already has a version or time "
    "at least as new, newer ones are used",
)
_SIDE = {"type": "integer", "minimum": 1, "maximum": MAX_SIDE}
_WORD = {"type": "string"}
_RENDITION = [
    parameter("w", "query", _SIDE, "The width of the box, in pixels"),
    parameter("h", "query", _SIDE, "The height of the box, in pixels"),
    parameter("fit", "query", {"enum": list(FITS)}, "Fit into the box (default), or cover it and be cropped"),
    parameter("gravity", "query", {"enum": list(GRAVITIES)}, "The part that `cover` keeps"),
    parameter("ar", "query", {"type": "string", "pattern": "^[1-9][0-9]{0,4}:[1-9][0-9]{0,4}$"}, "With `w`: the shape"),
    parameter("dpr", "query", {"enum": [1, 1.5, 2, 3]}, "Multiplies `w` and `h`"),
    parameter("format", "query", {"enum": ["auto", *FORMATS]}, "`auto`: AVIF, else WebP, by `Accept`"),
    parameter("q", "query", {"type": "integer", "minimum": 1, "maximum": 100}, "The quality"),
    parameter("preset", "query", _WORD, f"A rendition with a name: {', '.join(PRESETS)}, and those of the settings"),
    parameter("rendition", "query", _WORD, "The old name of `preset`"),
    parameter("v", "query", _WORD, "The beginning of the original's SHA-256, for an immutable answer"),
    parameter("exp", "query", _WORD, "Of a signed link: when it ends, in seconds since 1970-01-01 UTC"),
    parameter("kid", "query", _WORD, "Of a signed link: the id of the key that signed it"),
    parameter("sig", "query", _WORD, "Of a signed link: its signature"),
]
_IMAGE_HEADERS = {
    "X-Cache": header("Where the answer came from", {"enum": ["HIT", "HIT-NEAR", "MISS", "BYPASS", "STALE"]}),
    "X-Cache-Node": header("The node that answered"),
    "ETag": header("Strong: the SHA-256 of the bytes"),
    "Last-Modified": header("Left out within 2 seconds of a change"),
    "Accept-Ranges": header("`bytes`"),
    "Cache-Control": header("`no-cache`, with `public` or `private`; `immutable` where `v` is the current version"),
    "Vary": header("`Accept` for `format=auto`"),
}


def image_paths() -> Json:
    """Paths of tag `images`."""
    return {
        "/images/{key}": {
            "parameters": [_KEY],
            "get": _read("getImage", "The image's bytes"),
            "head": _read("headImage", "Like `GET`, without the bytes"),
        },
        "/api/images": {"get": _list_images()},
        "/api/images/{key}": {
            "parameters": [_KEY],
            "get": _metadata("getMetadata", "The image's metadata"),
            "head": _metadata("headMetadata", "Whether the image exists, and its ETag"),
            "put": _put(),
            "patch": _patch(),
            "delete": _delete(),
        },
        "/api/images/batch": {"post": _batch()},
        "/api/images/have": {"post": _have()},
    }


def _read(name: str, summary: str) -> Json:
    conditions = ("If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "Range", "If-Range")
    image = {"headers": _IMAGE_HEADERS, "content": {"image/*": {}}}
    answers = {
        "200": image | {"description": "The image exactly as uploaded, or the rendition"},
        "206": image | {"description": "The requested range"},
        "304": {"description": "Not modified"},
        "412": {"description": "A condition failed"},
        "416": {"description": "The range is not satisfiable"},
    }
    parameters = [*_RENDITION, *(parameter(condition, "header", {"type": "string"}) for condition in conditions)]
    statuses = (400, 401, 403, 404, 413, 422, 500, 503)
    return operation("images", name, summary, answers, statuses, parameters=parameters)


def _list_images() -> Json:
    summary = "Metadata of many images that the caller may see, sorted by the bytes of their keys"
    answers = ok("A page", ref("ImageList"))
    parameters = [
        *PAGE_PARAMETERS,
        parameter("visibility", "query", ref("Visibility"), "Only images with this visibility"),
    ]
    return operation("images", "listImages", summary, answers, (400, 401, 403, 503), parameters=parameters)


def _metadata(name: str, summary: str) -> Json:
    answers = {"200": _IMAGE | {"description": "Metadata"}}
    return operation("images", name, summary, answers, (400, 401, 403, 404, 503))


def _put() -> Json:
    stored = _IMAGE | {"headers": _ETAG | {"Location": header("The image's stable URL")}}
    return operation(
        "images",
        "putImage",
        "Store the body under the key",
        {
            "201": stored | {"description": "The key is new"},
            "200": stored | {"description": "The image was replaced"},
        },
        (400, 401, 403, 409, 411, 412, 413, 415, 422, 503, 507),
        description="JPEG, PNG, GIF, WebP, AVIF, HEIC, TIFF or BMP, detected by decoding every frame; "
        "Content-Type is ignored. Content-Length is required and must match the body. An upload link is such an "
        "address with parameters, and needs no token: 403 if it is not right, 409 if it was used.",
        parameters=[
            _IF_MATCH,
            parameter("If-None-Match", "header", {"const": "*"}, "Only if there is no such image yet, otherwise 412"),
            _KEEP_FACTS,
            parameter(
                VISIBILITY_HEADER,
                "header",
                ref("Visibility"),
                "By default that of the replaced image, or the setting's",
            ),
        ],
        requestBody={"required": True, "content": {"application/octet-stream": {}, "image/*": {}}},
    )


def _patch() -> Json:
    changed = _IMAGE | {"description": "Changed", "headers": _ETAG | {"Location": header("The image's stable URL")}}
    body = {
        "type": "object",
        "properties": {"key": ref("Key") | {"description": "The new key"}, "visibility": ref("Visibility")},
        "additionalProperties": False,
        "minProperties": 1,
    }
    return operation(
        "images",
        "changeImage",
        "Rename the image, change who sees it, or both in one step",
        {"200": changed},
        (400, 401, 403, 404, 409, 412, 413, 503),
        parameters=[_IF_MATCH],
        requestBody={"required": True, "content": json_content(body)},
    )


def _batch() -> Json:
    one_of = [_operation_of("delete"), _operation_of("move", to=ref("Key"))]
    one_of.append(_operation_of("visibility", visibility=ref("Visibility")))
    operations = {"type": "array", "items": {"oneOf": one_of}, "maxItems": MAX_OPERATIONS}
    body = {"type": "object", "properties": {"operations": operations}, "required": ["operations"]}
    return operation(
        "images",
        "changeImages",
        "Delete, rename, hide or show many images; no key may appear twice",
        ok("Done; each result has its own status", ref("BatchResults")),
        (400, 401, 403, 413, 503),
        requestBody={"required": True, "content": json_content(body)},
    )


def _operation_of(name: str, **more: Json) -> Json:
    properties = {"op": {"const": name}, "key": ref("Key"), **more}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _have() -> Json:
    digest = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    digests = {"type": "array", "items": digest, "maxItems": MAX_DIGESTS}
    body = {"type": "object", "properties": {"digests": digests}, "required": ["digests"]}
    have = {"type": "object", "additionalProperties": ref("Key"), "propertyNames": digest}
    found = {"type": "object", "properties": {"have": have}, "required": ["have"]}
    return operation(
        "images",
        "findDigests",
        "Which of these SHA-256 digests images of the caller have, each with a key; for administrators, all images",
        ok("A key for each digest that is there", found),
        (400, 401, 403, 413, 503),
        requestBody={"required": True, "content": json_content(body)},
    )


def _delete() -> Json:
    answers = {"204": {"description": "Deleted"}}
    statuses = (400, 401, 403, 404, 412, 503)
    return operation("images", "deleteImage", "Delete the image", answers, statuses, parameters=[_IF_MATCH])
