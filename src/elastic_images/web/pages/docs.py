"""`/docs`: the OpenAPI document as a page, rendered here, so that it needs no script."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, render_template

from elastic_images.accounts.guard import rule
from elastic_images.http.public_path import root
from elastic_images.web.openapi import openapi_document

Json = dict[str, Any]

_METHODS = ("get", "put", "post", "patch", "delete")
"""In the order of the page. HEAD is said beside GET."""


def docs_pages() -> Blueprint:
    """The route."""
    pages = Blueprint("docs", __name__)

    @pages.get("/docs")
    @rule("login")
    def docs() -> str:
        return render_template("docs.html", **reference(openapi_document(root())))

    return pages


def reference(document: Json) -> Json:
    """What the page shows of an OpenAPI document: its parts by tag, and its schemas."""
    operations = [
        _operation(document, path, method, item[method], item.get("parameters", []))
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]
    return {
        "info": document["info"],
        "parts": [
            {**tag, "operations": [one for one in operations if tag["name"] in one["tags"]]} for tag in document["tags"]
        ],
        "schemas": [
            {
                "name": name,
                "description": schema.get("description", ""),
                "fields": _fields(schema),
                "type": words(schema),
            }
            for name, schema in document["components"]["schemas"].items()
        ],
    }


def words(schema: Json) -> str:
    """A schema as a reader says it: `integer, 1 to 16`, `list of Image`, `text or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return ", ".join(json.dumps(value) for value in schema["enum"])
    for kind in ("oneOf", "anyOf"):
        if kind in schema and "properties" not in schema:
            return " or ".join(words(one) for one in schema[kind])
    kinds = schema.get("type", "value")
    name = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if name == "array":
        name = f"list of {words(schema.get('items', {}))}"
    return name + _bounds(schema)


def _bounds(schema: Json) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    length = schema.get("maxLength")
    if least is not None and most is not None:
        return f", {least} to {most}"
    if least is not None or most is not None:
        return f", at least {least}" if most is None else f", at most {most}"
    return f", at most {length} characters" if length is not None else ""


def _operation(document: Json, path: str, method: str, operation: Json, shared: list[Json]) -> Json:
    parameters = [_resolved(document, one) for one in [*shared, *operation.get("parameters", [])]]
    body = operation.get("requestBody")
    return {
        "id": operation["operationId"],
        "tags": operation["tags"],
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": [
            {
                "name": one["name"],
                "where": one["in"],
                "required": one.get("required", False),
                "type": words(one.get("schema", {})),
                "default": one.get("schema", {}).get("default"),
                "description": one.get("description", ""),
            }
            for one in parameters
        ],
        "body": _contents(_resolved(document, body)) if body else [],
        "responses": [
            {"status": status, "description": one.get("description", ""), "contents": _contents(one)}
            for status, found in operation["responses"].items()
            for one in [_resolved(document, found)]
        ],
    }


def _contents(found: Json) -> list[Json]:
    return [
        {"media_type": media_type, "type": words(one.get("schema", {})), "fields": _fields(one.get("schema", {}))}
        for media_type, one in found.get("content", {}).items()
    ]


def _fields(schema: Json) -> list[Json]:
    needed = schema.get("required", [])
    return [
        {"name": name, "type": words(one), "required": name in needed, "description": one.get("description", "")}
        for name, one in schema.get("properties", {}).items()
    ]


def _resolved(document: Json, found: Json) -> Json:
    while "$ref" in found:
        target: Any = document
        for part in str(found["$ref"]).removeprefix("#/").split("/"):
            target = target[part]
        found = target
    return found
