"""The REST API: images under `/api/images`."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from elastic_images.accounts.guard import current_principal, rule
from elastic_images.core.errors import EmptyBody, InvalidRequest
from elastic_images.core.image_facts import VERSION_DIGITS, ImageMetadata, PlacedImage
from elastic_images.core.keys import MAX_KEY_CHARACTERS, quote_key
from elastic_images.core.partitions import shown_partition
from elastic_images.core.visibility import VISIBILITY_HEADER, Visibility, parse_visibility
from elastic_images.http.gone_callers import gone_of
from elastic_images.http.json_body import json_object, text
from elastic_images.http.public_path import public_path
from elastic_images.storage.client import StorageClient
from elastic_images.web.bodies.exact import announced_length, exact_body
from elastic_images.web.request_path import key_in_path
from elastic_images.web.rest.restored_facts import FindUser, restored_facts
from elastic_images.web.services import Plane
from elastic_images.web.uploads_by_link import current_link

PREFIX = "/api/images/"
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


def rest_api(images: StorageClient, plane: Plane, find_user: FindUser, max_image_bytes: int) -> Blueprint:
    """The routes."""
    api = Blueprint("rest", __name__)

    def shown(metadata: ImageMetadata) -> PlacedImage:
        return with_place(metadata, plane)

    @api.put("/api/images/<rest:_path>")
    @rule("write")
    def put(_path: str) -> Response:
        key = key_in_path(request.environ, PREFIX)
        kept = restored_facts(request, find_user)
        link = current_link()
        visibility = link.visibility if link else given_visibility(request.headers.get(VISIBILITY_HEADER))
        length = announced_length(request, min(link.max_bytes, max_image_bytes) if link else max_image_bytes)
        if length == 0:
            raise EmptyBody("The upload is empty.")
        created, metadata = images.put(
            key,
            exact_body(request, length),
            length,
            actor=current_principal().actor(),
            if_match=request.headers.get("If-Match"),
            if_none_match="*" if link and link.prefix is not None else request.headers.get("If-None-Match"),
            kept=kept,
            visibility=visibility,
            upload_nonce=link.once if link else None,
            gone=gone_of(request.environ),
        )
        answer = _metadata_answer(shown(metadata))
        answer.status_code = 201 if created else 200
        answer.headers["Location"] = image_path(key)
        return answer

    @api.get("/api/images/<rest:_path>")
    @rule("read")
    def get(_path: str) -> Response:
        key = key_in_path(request.environ, PREFIX)
        return _metadata_answer(shown(images.metadata(key, actor=current_principal().actor())))

    @api.patch("/api/images/<rest:_path>")
    @rule("write")
    def patch(_path: str) -> Response:
        key, body = key_in_path(request.environ, PREFIX), json_object(("key", "visibility"))
        to, visibility = text(body, "key"), given_visibility(body.get("visibility"))
        actor, if_match = current_principal().actor(), request.headers.get("If-Match")
        if to is not None:
            changed = images.move(key, to, actor=actor, visibility=visibility, if_match=if_match)
        elif visibility is not None:
            changed = images.set_visibility(key, visibility, actor=actor, if_match=if_match)
        else:
            raise InvalidRequest("Give a new key, a visibility, or both.")
        answer = _metadata_answer(shown(changed))
        answer.headers["Location"] = image_path(changed["key"])
        return answer

    @api.delete("/api/images/<rest:_path>")
    @rule("write")
    def delete(_path: str) -> Response:
        key = key_in_path(request.environ, PREFIX)
        images.delete(key, actor=current_principal().actor(), if_match=request.headers.get("If-Match"))
        return Response(status=204)

    @api.get("/api/images")
    @rule("read")
    def page() -> Response:
        found = images.page(
            actor=current_principal().actor(),
            prefix=checked_prefix(request.args.get("prefix")),
            limit=page_size(request.args.get("limit")),
            cursor=request.args.get("cursor") or None,
            visibility=given_visibility(request.args.get("visibility") or None),
        )
        return jsonify({"images": [shown(metadata) for metadata in found["images"]], "next": found["next"]})

    return api


def image_path(key: str) -> str:
    """The stable path of an image, for `Location`; elsewhere use `public_path` of it."""
    return f"/images/{quote_key(key)}"


def with_place(metadata: ImageMetadata, plane: Plane) -> PlacedImage:
    """Metadata with the image's URLs, its `partition` (1 to 16) and the `node` that owns it."""
    partition, slot = plane.locate(metadata["key"])
    url = public_path(image_path(metadata["key"]))
    immutable_url = f"{url}?v={metadata['sha256'][:VERSION_DIGITS]}"
    return {
        **metadata,
        "partition": shown_partition(partition),
        "node": slot,
        "url": url,
        "immutable_url": immutable_url,
    }


def given_visibility(text: object) -> Visibility | None:
    """The visibility that a request names; None if it names none. Raises InvalidRequest."""
    return None if text is None else parse_visibility(text)


def checked_prefix(text: str | None) -> str:
    """The prefix of a query. Raises InvalidRequest if it is longer than any key."""
    prefix = text or ""
    if len(prefix) > MAX_KEY_CHARACTERS:
        raise InvalidRequest(f"prefix may have at most {MAX_KEY_CHARACTERS} characters.")
    return prefix


def _metadata_answer(metadata: PlacedImage) -> Response:
    answer = jsonify(metadata)
    answer.headers["ETag"] = metadata["etag"]
    return answer


def page_size(text: str | None) -> int:
    """The `limit` of a query; the default if it is missing or empty. Raises InvalidRequest."""
    if not text:
        return DEFAULT_LIMIT
    # Longer numbers are out of range anyway, and int() is slow on very long ones.
    limit = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"limit must be a whole number from 1 to {MAX_LIMIT}.")
    return limit
