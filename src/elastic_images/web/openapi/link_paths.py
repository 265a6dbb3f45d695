"""The routes that make links, and those of signing keys."""

from __future__ import annotations

from typing import Any

from elastic_images.accounts.signing_keys import MAX_KEYS
from elastic_images.core.rendition_query import RENDITION_PARAMETERS
from elastic_images.core.signed_links import MAX_LINK_SECONDS
from elastic_images.web.openapi.parts import PREFIX, json_content, ok, operation, parameter, ref

Json = dict[str, Any]

_EXPIRES_IN: Json = {"type": "number", "minimum": 1, "maximum": MAX_LINK_SECONDS, "description": "Seconds"}
_NAME: Json = {"type": "string", "minLength": 1, "maxLength": 100}
_USER: Json = {"type": "string", "description": "Whose; by default the caller's. Others' for administrators only"}
_WHO = "Needs a session, or a token with the scope admin"


def link_paths() -> Json:
    """Paths of tag `links`."""
    params = {
        "type": "object",
        "properties": {name: {"type": ["string", "number"]} for name in sorted(RENDITION_PARAMETERS)},
        "additionalProperties": False,
        "description": "What the address of the image may have",
    }
    link = {"key": ref("Key"), "params": params, "expires_in": _EXPIRES_IN}
    upload = {
        "key": ref("Key"),
        "prefix": PREFIX | {"minLength": 1, "description": "Any one key that begins so, without an image yet"},
        "max_bytes": {"type": "integer", "minimum": 1, "description": "By default MAX_IMAGE_BYTES, which is the most"},
        "expires_in": _EXPIRES_IN,
        "visibility": ref("Visibility"),
    }
    return {
        "/api/links": {
            "post": _post(
                "makeLink",
                "A link that opens an image, in any size, until a time, to whoever has it",
                ok("Made", ref("Link")),
                (400, 401, 403, 404, 413, 503),
                _object(link, "key", "expires_in"),
            )
        },
        "/api/upload-links": {
            "post": _post(
                "makeUploadLink",
                "A link by which whoever has it stores one image, once, by PUT and without a token",
                ok("Made", ref("UploadLink")),
                (400, 401, 403, 413, 503),
                {
                    **_object(upload, "expires_in"),
                    "oneOf": [{"required": ["key"]}, {"required": ["prefix"]}],
                },
            )
        },
        **_key_paths(),
    }


def _key_paths() -> Json:
    kid = parameter("kid", "path", {"type": "string", "pattern": "^[0-9a-f]{8}$"}, "The id of the key", required=True)
    created = {"201": ok("Created; the secret is shown only now", ref("NewSigningKey"))["200"]}
    listed = ok("Newest first, with revoked ones", ref("SigningKeys"))
    asked = [parameter("user", "query", {"type": "string"}, "Only keys of this user")]
    create = _object({"name": _NAME, "user": _USER}, "name")
    summary = "The caller's signing keys; everybody's for administrators"
    rotate = "Revoke a signing key, and create another one of the same name"
    return {
        "/api/signing-keys": {
            "get": operation(
                "links", "listSigningKeys", summary, listed, (401, 403, 503), parameters=asked, description=_WHO
            ),
            "post": _post(
                "createSigningKey",
                f"Create a key with which programs sign links; {MAX_KEYS} of a user at the most",
                created,
                (400, 401, 403, 404, 409, 413, 503),
                create,
                description=_WHO,
            ),
        },
        "/api/signing-keys/{kid}": {
            "parameters": [kid],
            "delete": operation(
                "links",
                "revokeSigningKey",
                "Revoke a signing key: its links open nothing from now on",
                {"204": {"description": "Revoked"}},
                (401, 403, 404, 503),
                description=_WHO,
            ),
        },
        "/api/signing-keys/{kid}/rotate": {
            "parameters": [kid],
            "post": operation(
                "links", "rotateSigningKey", rotate, created, (401, 403, 404, 409, 413, 503), description=_WHO
            ),
        },
    }


def _object(properties: Json, *required: str) -> Json:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _post(name: str, summary: str, answers: Json, statuses: tuple[int, ...], body: Json, **more: Any) -> Json:
    sent = {"required": True, "content": json_content(body)}
    return operation("links", name, summary, answers, statuses, requestBody=sent, **more)
