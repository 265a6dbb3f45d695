"""The REST API that makes links to store one image, once."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, Response, jsonify

from elastic_images.accounts.guard import rule
from elastic_images.core.errors import InvalidRequest
from elastic_images.core.keys import check_new_key, quote_key
from elastic_images.core.upload_links import upload_query
from elastic_images.core.visibility import parse_visibility
from elastic_images.http.json_body import json_object, text
from elastic_images.http.public_path import public_path
from elastic_images.web.rest.links import LinkMaker, expires_in_seconds, origin

_NAME = "{name}"
"""Stands in the address of an upload link for a prefix where the rest of the key is to be."""


def upload_links_api(maker: LinkMaker, max_image_bytes: int) -> Blueprint:
    """The routes."""
    api = Blueprint("upload_links", __name__)

    @api.post("/api/upload-links")
    @rule("write")
    def upload_link() -> Response:
        body = json_object(("key", "prefix", "max_bytes", "expires_in", "visibility"))
        target, is_prefix = _target(body)
        max_bytes = min(_max_bytes(body, max_image_bytes), max_image_bytes)
        visibility = parse_visibility(body["visibility"]) if body.get("visibility") is not None else None
        expires_at, account = maker.expires_at(expires_in_seconds(body)), maker.account()
        query = upload_query(
            account.upload_secret,
            account.kid,
            target,
            is_prefix=is_prefix,
            nonce=secrets.token_hex(16),
            max_bytes=max_bytes,
            visibility=visibility,
            expires_at=expires_at,
        )
        path = public_path(f"/api/images/{quote_key(target)}") + (_NAME if is_prefix else "")
        return jsonify({"url": f"{origin()}{path}?{query}", "expires_at": expires_at, "max_bytes": max_bytes})

    return api


def _target(body: dict[str, Any]) -> tuple[str, bool]:
    key, prefix = text(body, "key"), text(body, "prefix")
    if (key is None) == (prefix is None):
        raise InvalidRequest("Give either key or prefix.")
    if key is not None:
        return check_new_key(key), False
    if not prefix:
        raise InvalidRequest("prefix is empty: give at least the first character of the keys.")
    check_new_key(f"{prefix}x")
    return prefix, True


def _max_bytes(body: dict[str, Any], most: int) -> int:
    found = body.get("max_bytes", most)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise InvalidRequest("max_bytes is a whole number of bytes, 1 or more.")
    return found
