"""Damaged and lost images, and the scrubber that finds them."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from elastic_images.storage.client import StorageClient


def upkeep_api(images: StorageClient) -> Blueprint:
    """The routes."""
    api = Blueprint("upkeep-api", __name__, url_prefix="/api")

    @api.get("/bad_images")
    def bad_images() -> Response:
        return jsonify(images.bad_images(request.args.get("cursor")))

    @api.get("/scrub")
    def scrub_status() -> Response:
        return jsonify(images.scrub_status())

    @api.post("/scrub")
    def scrub() -> tuple[Response, int]:
        return jsonify(images.request_scrub()), 202

    return api
