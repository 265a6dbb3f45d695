"""The REST API for many images at once: change them, and find out which are here already."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from elastic_images.accounts.guard import current_principal, rule
from elastic_images.http.json_body import json_object, texts
from elastic_images.storage.client import StorageClient

MAX_OPERATIONS = 1000
MAX_DIGESTS = 1000
_MAX_BATCH_BYTES = 8_000_000
"""1,000 operations with two long keys each, every character of them escaped."""
_MAX_HAVE_BYTES = 128_000


def batch_api(images: StorageClient) -> Blueprint:
    """The routes. Storage checks what they are given."""
    api = Blueprint("batch", __name__)

    @api.post("/api/images/batch")
    @rule("write")
    def batch() -> Response:
        request.max_content_length = _MAX_BATCH_BYTES
        operations = json_object(("operations",)).get("operations")
        return jsonify({"results": images.batch(operations, actor=current_principal().actor())})

    @api.post("/api/images/have")
    @rule("read")
    def have() -> Response:
        request.max_content_length = _MAX_HAVE_BYTES
        digests = texts(json_object(("digests",)), "digests")
        return jsonify({"have": images.have(digests, actor=current_principal().actor())})

    return api
