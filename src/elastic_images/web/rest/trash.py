"""The REST API of the trash: list, restore, purge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify, request

from elastic_images.accounts.guard import current_principal, rule
from elastic_images.core.errors import ElasticImagesError, InvalidRequest, NotFound, Unavailable
from elastic_images.core.image_facts import Actor, ImageMetadata
from elastic_images.core.keys import check_key
from elastic_images.http.json_body import json_object, needed_text, text
from elastic_images.storage.client import StorageClient
from elastic_images.web.rest.api import checked_prefix, page_size

MAX_IDS = 1000
_MAX_ID = 2**53


def trash_api(images: StorageClient) -> Blueprint:
    """The routes."""
    api = Blueprint("trash", __name__)

    @api.get("/api/trash")
    @rule("read")
    def page() -> Response:
        found = images.trash(
            actor=current_principal().actor(),
            prefix=checked_prefix(request.args.get("prefix")),
            limit=page_size(request.args.get("limit")),
            cursor=request.args.get("cursor") or None,
        )
        return jsonify(found)

    @api.post("/api/trash/restore")
    @rule("write")
    def restore() -> Response:
        body = json_object(("ids", "key"))
        if len(body) != 1:
            raise InvalidRequest("Give either ids or key.")
        if "key" in body:
            key = check_key(needed_text(body, "key"))
            return jsonify({"results": [_result(None, key, partial(restore_newest, images, key))]})
        return jsonify({"results": _restore_all(images, _ids(body["ids"]))})

    @api.post("/api/trash/purge")
    @rule("admin")
    def purge() -> Response:
        prefix = checked_prefix(text(json_object(("prefix",)), "prefix"))
        return jsonify({"purged": images.purge_trash(prefix, actor=current_principal().actor())})

    return api


def restore_newest(images: StorageClient, key: str, *, if_none_match: str | None = None) -> tuple[int, ImageMetadata]:
    """Restore the newest entry of `key` that the caller may restore. Raises as `StorageClient.restore`."""
    actor = current_principal().actor()
    entry = images.newest_in_trash(key, actor=actor)
    if entry is None:
        raise NotFound(f"There is no image {key!r} in the trash.")
    return entry, images.restore(entry, actor=actor, if_none_match=if_none_match)


def _restore_all(images: StorageClient, ids: Sequence[int]) -> list[dict[str, Any]]:
    actor = current_principal().actor()
    results: list[dict[str, Any]] = []
    for entry in ids:
        # Each would wait as long as the one before.
        if results and results[-1]["status"] == Unavailable.status:
            results.append({**results[-1], "id": entry, "key": None})
        else:
            results.append(_result(entry, None, partial(_restore_one, images, entry, actor)))
    return results


def _restore_one(images: StorageClient, entry: int, actor: Actor) -> tuple[int, ImageMetadata]:
    return entry, images.restore(entry, actor=actor)


def _result(entry: int | None, key: str | None, restore: Callable[[], tuple[int, ImageMetadata]]) -> dict[str, Any]:
    try:
        entry, image = restore()
    except ElasticImagesError as error:
        return {"id": entry, "key": key, "status": error.status, "detail": str(error)}
    return {"id": entry, "key": image["key"], "status": 200}


def _ids(value: Any) -> list[int]:
    valid = isinstance(value, list) and all(type(one) is int and 0 < one <= _MAX_ID for one in value)
    if not valid or not 1 <= len(value) <= MAX_IDS or len(set(value)) < len(value):
        raise InvalidRequest(f"ids must be a list of 1 to {MAX_IDS:,} different ids from the listing.")
    return list(value)
