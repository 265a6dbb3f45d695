"""The OpenAPI document against the routes, and their answers against the document."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.apps.web_support import LIMIT, Web, open_web, picture
from werkzeug.test import TestResponse

from elastic_images.core.errors import OutOfSpace, Unavailable
from elastic_images.web.openapi import openapi_document
from elastic_images.web.pages.docs import words

DOCUMENT = openapi_document()
METHODS = {"get", "head", "put", "post", "patch", "delete"}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with open_web(tmp_path) as web:
        yield web


def documented() -> set[tuple[str, str]]:
    """Every method and path of the document."""
    return {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in METHODS & item.keys()}


def routes(web: Web) -> set[tuple[str, str]]:
    """Every public method and path of the APIs, as the document writes them."""
    found = set()
    for rule in web.app.url_map.iter_rules():
        path = rule.rule.replace("<rest:_path>", "{key}").replace("<kid>", "{kid}")
        is_api = path.startswith(("/api/", "/images/")) or path == "/openapi.json"
        twin = path.removesuffix("/") if path.endswith("/") else None  # the course API's calls with a slash
        if is_api and twin is None:
            found |= {(method, path) for method in (rule.methods or set()) - {"OPTIONS"}}
    return found - {
        ("HEAD", "/openapi.json"),
        ("HEAD", "/api/images"),
        ("HEAD", "/api/trash"),
        ("HEAD", "/api/signing-keys"),
    }


def check(answer: TestResponse, method: str, path: str) -> int:
    """The answer's status, after its body was held against the document."""
    item = DOCUMENT["paths"][path]
    answers = item[method.lower()]["responses"]
    status = str(answer.status_code)
    assert status in answers, f"{method} {path} answered {status}, which is not documented: {answer.text}"
    content = answers[status].get("content")
    if content is None or method == "HEAD":
        assert not answer.data
        return answer.status_code
    kind = answer.mimetype or ""
    assert kind in content or f"{kind.partition('/')[0]}/*" in content, kind
    schema = content.get(kind, {}).get("schema")
    if schema is not None:
        checker = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
        checker.validate(answer.get_json(force=True))
    for name, header in answers[status].get("headers", {}).items():
        if name in answer.headers and "enum" in header["schema"]:
            assert answer.headers[name] in header["schema"]["enum"]
    return answer.status_code


def test_the_document_is_served_to_everybody(web: Web) -> None:
    answer = web.client().get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.get_json() == DOCUMENT
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_every_route_is_documented_and_every_documented_route_is_there(web: Web) -> None:
    assert routes(web) == documented()


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)

    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for item in value.values():
                yield from walk(item)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item)

    for reference in set(walk(DOCUMENT)):
        target: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_every_operation_has_an_id_of_its_own_and_what_a_reader_needs() -> None:
    operations = [item[method] for item in DOCUMENT["paths"].values() for method in sorted(METHODS & item.keys())]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for operation in operations:
        assert operation["summary"]
        assert set(operation["tags"]) <= tags
        assert all(answer["description"] for answer in operation["responses"].values())


def test_answers_of_the_rest_api_are_as_documented(web: Web) -> None:
    client, auth = web.client(), web.auth()
    one, many = "/api/images/{key}", "/api/images"

    def put(body: bytes = picture(), **headers: str) -> int:
        sent = auth | {name.replace("_", "-"): value for name, value in headers.items()}
        return check(client.put("/api/images/k1", data=body, headers=sent), "PUT", one)

    assert [put(), put(), put(b"text"), put(bytes(LIMIT + 1)), put(If_None_Match="*")] == [201, 200, 415, 413, 412]
    assert check(client.put("/api/images/a//b", data=b"x", headers=auth), "PUT", one) == 400
    assert check(client.put("/api/images/k1", headers=auth), "PUT", one) == 411
    assert check(client.put("/api/images/k1", data=b"x"), "PUT", one) == 401
    assert check(client.put("/api/images/k1", data=picture(), headers=web.auth("bob")), "PUT", one) == 403
    for key, expected in (("k1", 200), ("none", 404), ("a//b", 400)):
        assert check(client.get(f"/api/images/{key}", headers=auth), "GET", one) == expected
        assert check(client.head(f"/api/images/{key}", headers=auth), "HEAD", one) == expected
    assert check(client.get("/api/images", headers=auth), "GET", many) == 200
    assert check(client.get("/api/images?limit=0", headers=auth), "GET", many) == 400
    assert check(client.get("/images/k1"), "GET", "/images/{key}") == 200
    assert check(client.get("/images/none"), "GET", "/images/{key}") == 404
    assert check(client.delete("/api/images/k1", headers=auth), "DELETE", one) == 204
    assert check(client.delete("/api/images/k1", headers=auth), "DELETE", one) == 404
    web.images.fail = Unavailable("Storage does not answer.")
    assert [put(), check(client.get("/api/images", headers=auth), "GET", many)] == [503, 503]
    web.images.fail = OutOfSpace("There is no room.")
    assert put() == 507


def test_answers_of_the_course_api_are_as_documented(web: Web) -> None:
    def post(call: str, path: str | None = None, **form: Any) -> int:
        answer = web.client().post(f"/api/{call}", data=form or None, headers=web.admin)
        return check(answer, "POST", path or f"/api/{call.partition('?')[0]}")

    statuses = [
        post("upload", key="k1", file=(io.BytesIO(picture()), "a.png")),
        post("upload", key="k1"),
        post("list_keys"),
        post("key/k1", "/api/key/{key}"),
        post("key/none", "/api/key/{key}"),
        post("configure_cache?mode=auto"),
        post("configure_cache?mode=none"),
        post("getNumNodes"),
        post("getRate?rate=hit"),
        post("getRate"),
        post("delete_all"),
    ]
    assert set(statuses) == {200}
    web.pool.rates |= {"hit_rate": 0.5, "miss_rate": 0.5}
    assert post("getRate?rate=hit") == 200
    web.pool.fail = Unavailable("The autoscaler does not answer.")
    assert post("getNumNodes") == 503
    for path in ("list_keys", "delete_all"):
        assert check(web.client().post(f"/api/{path}"), "POST", f"/api/{path}") == 401
        cross = web.client().post(f"/api/{path}", headers={"Sec-Fetch-Site": "cross-site"})
        assert check(cross, "POST", f"/api/{path}") == 403


def test_the_document_can_be_read_as_a_page(web: Web) -> None:
    answer = web.client().get("/docs")
    assert answer.status_code == 200
    targets = set(re.findall(r' id="([^"]+)"', answer.text))
    operations = {
        item[method]["operationId"] for item in DOCUMENT["paths"].values() for method in METHODS & item.keys()
    }
    heads = {item["head"]["operationId"] for item in DOCUMENT["paths"].values() if "head" in item}
    assert operations - heads <= targets
    assert {f"schema-{name}" for name in DOCUMENT["components"]["schemas"]} <= targets
    assert set(re.findall(r' href="#([^"]+)"', answer.text)) <= targets
    for text in ("PUT /api/images/{key}", "at most 255 characters", "ThumbHash"):
        assert text in answer.text


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 16}, "integer, 1 to 16"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Image"}}, "list of Image"),
        ({"enum": ["LRU", "RR"]}, '"LRU", "RR"'),
        ({"oneOf": [{"const": "true"}, {"type": "number", "minimum": 0}]}, '"true" or number, at least 0'),
    ],
)
def test_types_are_said_in_words(schema: dict[str, Any], said: str) -> None:
    assert words(schema) == said
