"""Requests made up from `/openapi.json` against a real system: no 5xx, and every answer as the document says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from testing.fuzzing import fuzz
from testing.photographs import photographs
from testing.system import System, running

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    ("GET", "/images/{key}"),
    ("HEAD", "/images/{key}"),
    ("GET", "/api/images"),
    ("GET", "/api/images/{key}"),
    ("HEAD", "/api/images/{key}"),
    ("PUT", "/api/images/{key}"),
    ("PATCH", "/api/images/{key}"),
    ("DELETE", "/api/images/{key}"),
    ("POST", "/api/images/batch"),
    ("POST", "/api/images/have"),
    ("POST", "/api/links"),
    ("POST", "/api/upload-links"),
    ("GET", "/api/signing-keys"),
    ("POST", "/api/signing-keys"),
    ("DELETE", "/api/signing-keys/{kid}"),
    ("POST", "/api/signing-keys/{kid}/rotate"),
    ("GET", "/api/trash"),
    ("POST", "/api/trash/restore"),
    ("POST", "/api/trash/purge"),
    ("POST", "/api/upload"),
    ("POST", "/api/list_keys"),
    ("POST", "/api/key/{key}"),
    ("POST", "/api/delete_all"),
    ("POST", "/api/configure_cache"),
    ("POST", "/api/getNumNodes"),
    ("POST", "/api/getRate"),
]
WITHOUT_INPUT = {("POST", "/api/list_keys"), ("POST", "/api/delete_all"), ("POST", "/api/getNumNodes")}
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
CASES = [(*one, POSITIVE) for one in OPERATIONS] + [(*one, NEGATIVE) for one in OPERATIONS if one not in WITHOUT_INPUT]
PHOTO = photographs(1)[0].body


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running(tmp_path_factory.mktemp("system"), nodes=1) as started:
        yield started


@pytest.fixture(scope="module")
def document(system: System) -> Any:
    return schemathesis.openapi.from_url(f"{system.url()}/openapi.json")


def test_every_operation_is_tried(document: Any) -> None:
    found = {(one.method.upper(), one.path) for one in (result.ok() for result in document.get_all_operations())}
    assert found - {("GET", "/openapi.json")} == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path", "mode"), CASES, ids=str)
def test_answers_are_as_documented(
    system: System, document: Any, method: str, path: str, mode: schemathesis.GenerationMode
) -> None:
    headers = {"Authorization": f"Bearer {system.admin().token}"}
    operation = document[path][method]

    @given(operation.as_strategy(generation_mode=mode), st.booleans(), st.sampled_from([headers, headers, {}]))
    @fuzz(12)
    def run(case: Any, helped: bool, sent: dict[str, str]) -> None:
        if helped:
            # What is made up is rarely the key of an image, or an image.
            system.admin().put("k1", PHOTO)
            if "{key}" in path:
                case.path_parameters["key"] = "k1"
            if method == "PUT":
                case.body, case.media_type = PHOTO, "application/octet-stream"
        if "numNodes" in (case.query or {}):
            case.query["numNodes"] = 1  # nodes are processes
        case.call_and_validate(headers=sent, checks=CHECKS, timeout=60)

    run()
