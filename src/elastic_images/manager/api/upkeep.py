"""Damaged and lost images, and the scrubber that finds them."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from elastic_images.accounts.guard import rule
from elastic_images.manager.services import ImageStore


def upkeep_api(images: ImageStore) -> Blueprint:
    """The routes."""
    api = Blueprint("upkeep-api", __name__, url_prefix="/api")

    @api.get("/bad_images")
    @rule("admin")
    def bad_images() -> Response:
        return jsonify(images.bad_images(request.args.get("cursor")))

    @api.get("/scrub")
    @rule("admin")
    def scrub_status() -> Response:
        return jsonify(images.scrub_status())

    @api.post("/scrub")
    @rule("admin")
    def scrub() -> tuple[Response, int]:
        return jsonify(images.request_scrub()), 202

    return api
