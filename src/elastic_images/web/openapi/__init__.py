"""The OpenAPI 3.1 document of the public APIs, written by hand; a test checks it against the routes."""

from __future__ import annotations

from elastic_images.web.openapi.document import openapi_document

__all__ = ["openapi_document"]
