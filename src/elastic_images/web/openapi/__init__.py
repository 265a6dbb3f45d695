"""The OpenAPI 3.1 document of the public APIs, kept by hand; a test compares it with the routes and their answers."""

from __future__ import annotations

from elastic_images.web.openapi.document import openapi_document

__all__ = ["openapi_document"]
