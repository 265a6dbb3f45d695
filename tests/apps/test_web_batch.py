"""Renames, changes of visibility and batches by the REST API, with a real storage app."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from testing.storage_parts import picture
from tests.apps.test_web_openapi import check
from tests.apps.whole_web import WholeWeb, whole_web
from werkzeug.test import TestResponse

DIGEST = hashlib.sha256(picture()).hexdigest()


@pytest.fixture(scope="module")
def shared_web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeWeb]:
    with whole_web(tmp_path_factory.mktemp("web")) as web:
        put(web, "first")  # starts the process that decodes
        yield web


@pytest.fixture
def web(shared_web: WholeWeb) -> WholeWeb:
    assert shared_web.ask("root", "POST", "/api/delete_all").get_json() == {"success": "true"}
    return shared_web


def put(web: WholeWeb, key: str, visibility: str = "public", user: str = "ann") -> dict[str, Any]:
    headers = {"X-Visibility": visibility}
    answer = web.ask(user, "PUT", f"/api/images/{key}", data=picture(), headers=headers)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def keys(web: WholeWeb) -> list[str]:
    found: list[str] = web.ask("root", "POST", "/api/list_keys").get_json()["keys"]
    return found


def test_a_rename_with_a_visibility_is_one_change(web: WholeWeb) -> None:
    before = put(web, "old")
    body = {"key": "new", "visibility": "private"}
    answer = web.ask("ann", "PATCH", "/api/images/old", json=body, headers={"If-Match": before["etag"]})
    assert check(answer, "PATCH", "/api/images/{key}") == 200
    after = answer.get_json()
    assert (after["key"], after["visibility"], after["sha256"]) == ("new", "private", before["sha256"])
    assert (after["created_at"], after["owner"]) == (before["created_at"], "ann")
    assert after["version"] == before["version"] + 1
    assert web.ask("ann", "GET", "/images/old").status_code == 404
    assert web.ask("ann", "GET", "/api/images/old").status_code == 404
    again = web.ask("ann", "PATCH", "/api/images/new", json={"key": "new"})
    assert check(again, "PATCH", "/api/images/{key}") == 400
    stale = web.ask("ann", "PATCH", "/api/images/new", json={"key": "x"}, headers={"If-Match": '"x"'})
    assert check(stale, "PATCH", "/api/images/{key}") == 412
    assert keys(web) == ["new"]


def batch(web: WholeWeb, operations: object, user: str = "ann") -> TestResponse:
    answer = web.ask(user, "POST", "/api/images/batch", json={"operations": operations})
    check(answer, "POST", "/api/images/batch")
    return answer


def test_a_batch_has_a_result_for_each_operation(web: WholeWeb) -> None:
    for key in ("k1", "k2", "k3", "taken"):
        put(web, key)
    put(web, "bobs", user="bob")
    put(web, "hidden", "private", "bob")
    operations = [
        {"op": "visibility", "key": "k1", "visibility": "private"},
        {"op": "move", "key": "k2", "to": "album/k2"},
        {"op": "move", "key": "k3", "to": "taken"},
        {"op": "delete", "key": "none"},
        {"op": "delete", "key": "bobs"},
        {"op": "delete", "key": "hidden"},
    ]
    results = batch(web, operations).get_json()["results"]
    assert [(one["key"], one["status"]) for one in results] == [
        ("k1", 200), ("k2", 200), ("k3", 409), ("none", 404), ("bobs", 403), ("hidden", 404),
    ]  # fmt: skip
    assert results[5]["detail"].replace("hidden", "none") == results[3]["detail"]
    assert keys(web) == ["album/k2", "bobs", "hidden", "k1", "k3", "taken"]
    deleted = batch(web, [{"op": "delete", "key": "k1"}]).get_json()
    assert deleted == {"results": [{"key": "k1", "status": 204}]}


MOVE = {"op": "move", "key": "k1", "to": "k2"}


@pytest.mark.parametrize(
    ("operations", "status", "words"),
    [
        (None, 400, "must be a list"),
        ({"op": "delete"}, 400, "must be a list"),
        ([{"op": "delete", "key": f"k{number}"} for number in range(1001)], 413, "at most 1,000 operations"),
        (["delete"], 400, "Operation 1: op must be delete, move or visibility."),
        ([{"op": "copy", "key": "k1"}], 400, "Operation 1: op must be"),
        ([{"op": ["delete"], "key": "k1"}], 400, "Operation 1: op must be"),
        ([{"key": "k1"}], 400, "Operation 1: op must be"),
        ([{"op": "delete"}], 400, "delete has key, op, and nothing else"),
        ([{"op": "delete", "key": "k1", "to": "k2"}], 400, "delete has key, op, and nothing else"),
        ([{"op": "move", "key": "k1"}], 400, "move has key, op, to, and nothing else"),
        ([{"op": "delete", "key": 7}], 400, "A key must be a string."),
        ([MOVE | {"to": None}], 400, "A key must be a string."),
        ([MOVE | {"to": "a//b"}], 400, "Operation 1: "),
        ([MOVE | {"to": "k1"}], 400, "Operation 1"),
        ([MOVE, {"op": "delete", "key": "a//b"}], 400, "Operation 2: "),
        ([MOVE, {"op": "delete", "key": "k1"}], 400, "Operation 2 names 'k1'"),
        ([MOVE, {"op": "delete", "key": "k2"}], 400, "Operation 2 names 'k2'"),
        ([{"op": "visibility", "key": "k1", "visibility": "all"}], 400, "public, members or private"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_bad_batch_is_refused_whole(web: WholeWeb, operations: object, status: int, words: str) -> None:
    put(web, "k1")
    answer = batch(web, operations)
    assert answer.status_code == status
    assert words in answer.get_json()["detail"]
    assert keys(web) == ["k1"]


def test_the_longest_batch_is_taken_and_a_longer_body_is_not(web: WholeWeb) -> None:
    long = [{"op": "move", "key": f"{n:04}{'😀' * 251}", "to": f"{n:04}{'🎈' * 251}"} for n in range(1000)]
    results = batch(web, long).get_json()["results"]
    assert [one["status"] for one in results] == [404] * 1000
    answer = web.ask("ann", "POST", "/api/images/batch", data=b" " * 8_000_001)
    assert check(answer, "POST", "/api/images/batch") == 413


def have(web: WholeWeb, digests: Any, who: str = "ann") -> TestResponse:
    answer = web.ask(who, "POST", "/api/images/have", json={"digests": digests})
    check(answer, "POST", "/api/images/have")
    return answer


def test_which_images_are_here_already(web: WholeWeb) -> None:
    put(web, "k1", "private")
    put(web, "k2")
    assert have(web, [DIGEST, "0" * 64]).get_json() == {"have": {DIGEST: "k1"}}
    assert have(web, [DIGEST], "root").get_json() == {"have": {DIGEST: "k1"}}
    assert have(web, [DIGEST], "bob").get_json() == {"have": {}}
    assert have(web, [DIGEST], "visitor").get_json() == {"have": {}}
    assert have(web, [f"{number:064x}" for number in range(1000)]).status_code == 200
    for digests in (None, DIGEST, [DIGEST.upper()], [DIGEST[:63]], [5]):
        assert have(web, digests).status_code == 400, digests
    assert have(web, [f"{number:064x}" for number in range(1001)]).status_code == 413
