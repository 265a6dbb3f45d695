"""The complete document."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from elastic_images.web.openapi.course_paths import course_paths
from elastic_images.web.openapi.image_paths import image_paths
from elastic_images.web.openapi.link_paths import link_paths
from elastic_images.web.openapi.parts import ok, operation, parameter
from elastic_images.web.openapi.schemas import SCHEMAS
from elastic_images.web.openapi.trash_paths import trash_paths


def openapi_document(root: str = "") -> dict[str, Any]:
    """A new copy of the document, as JSON values. `root`: see `http.public_path`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Elastic Images",
            "version": version("elastic-images"),
            "summary": "Images under keys, served from an elastic pool of cache nodes",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": root or "/"}],
        "security": [{"token": []}, {}],
        "tags": [
            {"name": "images", "description": "Images as HTTP resources. Errors are problem documents (RFC 9457)."},
            {"name": "trash", "description": "Deleted and replaced images, kept for a while."},
            {"name": "links", "description": "Links that open one image until a time, and the keys that sign them."},
            {"name": "course", "description": "The course API: POST, errors in the body with status 200."},
            {"name": "about", "description": "This document."},
        ],
        "paths": {**image_paths(), **link_paths(), **trash_paths(), **course_paths(), **_about_paths()},
        "components": {
            "schemas": SCHEMAS,
            "parameters": {"Key": _key_parameter()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token. ELASTIC_IMAGES_ANONYMOUS sets what works without one.",
                }
            },
        },
    }


def _key_parameter() -> dict[str, Any]:
    return parameter(
        "key",
        "path",
        {"$ref": "#/components/schemas/Key"},
        "Percent-encoded UTF-8. Slashes need no encoding; `%2F` is the same as `/`.",
        required=True,
    )


def _about_paths() -> dict[str, Any]:
    answers = ok("OpenAPI 3.1", {"type": "object"})
    return {"/openapi.json": {"get": operation("about", "getOpenapi", "This document", answers, security=[])}}
