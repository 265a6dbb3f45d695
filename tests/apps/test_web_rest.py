"""The REST API, from outside, with storage's part played."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.apps.web_support import LIMIT, Web, open_web, picture
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from elastic_images.core.errors import OutOfSpace, Unavailable


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with open_web(tmp_path) as web:
        yield web


def problem(answer: TestResponse) -> tuple[int, str]:
    """Status and word of a problem document; its other fields are checked here."""
    assert answer.mimetype == "application/problem+json", answer.text
    document = answer.get_json(force=True)
    assert document["status"] == answer.status_code
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == f"urn:request:{answer.headers['X-Request-Id']}"
    return answer.status_code, document["type"].rpartition("/")[2]


def call(
    web: Web, method: str, path_info: bytes, body: bytes | None = None, environ: dict[str, str] | None = None
) -> TestResponse:
    """A request whose path arrives as these bytes, percent-encoding undone, as a WSGI server hands it over."""
    builder = EnvironBuilder(method=method, headers=Headers(web.admin), data=body)
    made = builder.get_environ() | {"PATH_INFO": path_info.decode("latin-1")} | (environ or {})
    answer, status, headers = run_wsgi_app(web.app, made, buffered=True)
    return TestResponse(answer, status, headers, builder.get_request())


# ---- PUT ----


def test_a_new_image_is_stored(web: Web) -> None:
    body = picture()
    answer = web.client().put("/api/images/holidays/k%201", data=body, headers=web.auth())
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/images/holidays/k%201"
    facts = answer.get_json()
    assert (facts["key"], facts["size_bytes"], facts["owner"]) == ("holidays/k 1", len(body), "ann")
    assert facts["url"] == "/images/holidays/k%201"
    assert answer.headers["ETag"] == facts["etag"] == f'"{facts["sha256"]}"'
    assert web.images.stored["holidays/k 1"].body == body


def test_an_image_is_replaced(web: Web) -> None:
    assert web.client().put("/api/images/k1", data=picture(1), headers=web.auth()).status_code == 201
    answer = web.client().put("/api/images/k1", data=picture(2), headers=web.auth())
    assert (answer.status_code, answer.get_json()["version"]) == (200, 2)
    assert web.images.stored["k1"].body == picture(2)


def test_the_content_type_is_ignored(web: Web) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"):
        answer = web.client().put("/api/images/k1", data=picture(), headers=web.auth() | {"Content-Type": kind})
        assert answer.status_code in (200, 201), kind
    assert web.images.stored["k1"].body == picture()


def test_conditions_reach_storage(web: Web) -> None:
    put = web.client().put
    first = put("/api/images/k1", data=picture(1), headers=web.auth() | {"If-None-Match": "*"})
    assert first.status_code == 201
    for condition in ({"If-None-Match": "*"}, {"If-Match": '"other"'}):
        answer = put("/api/images/k1", data=picture(2), headers=web.auth() | condition)
        assert problem(answer) == (412, "precondition-failed")
    assert web.images.stored["k1"].body == picture(1)
    assert put("/api/images/k1", data=picture(2), headers=web.auth() | {"If-Match": first.headers["ETag"]})
    assert web.images.stored["k1"].body == picture(2)


def test_bodies_that_are_refused_before_storage_is_asked(web: Web) -> None:
    put, auth = web.client().put, web.auth()
    empty = call(web, "PUT", b"/api/images/k1", environ={"CONTENT_LENGTH": "0"})
    assert problem(empty) == (400, "empty-body")
    assert problem(put("/api/images/k1", data=bytes(LIMIT + 1), headers=auth)) == (413, "too-large")
    huge = call(web, "PUT", b"/api/images/k1", environ={"CONTENT_LENGTH": "9" * 40})
    assert problem(huge) == (413, "too-large")
    none = call(web, "PUT", b"/api/images/k1", environ={"CONTENT_LENGTH": ""})
    assert problem(none) == (411, "length-required")
    chunked = call(web, "PUT", b"/api/images/k1", environ={"HTTP_TRANSFER_ENCODING": "chunked"})
    assert problem(chunked) == (411, "length-required")
    for length in ("-5", "abc", "1e3", "+10", "10, 20", "٣"):
        answer = call(web, "PUT", b"/api/images/k1", environ={"CONTENT_LENGTH": length})
        assert problem(answer) == (400, "invalid-request"), length
    assert not web.images.waiting.acquire(blocking=False)


def test_a_body_that_ends_early_is_incomplete(web: Web) -> None:
    body = picture()
    for announced in (len(body) + 1, len(body) * 2):
        answer = call(web, "PUT", b"/api/images/k1", body, environ={"CONTENT_LENGTH": str(announced)})
        assert problem(answer) == (400, "incomplete-body")
    assert not web.images.stored


def test_exactly_the_limit_is_taken(web: Web) -> None:
    body = picture() + bytes(LIMIT - len(picture()))
    assert web.client().put("/api/images/k1", data=body, headers=web.auth()).status_code == 201
    assert web.images.largest_read <= 64 * 1024


def test_what_storage_says_of_an_upload_is_passed_on(web: Web) -> None:
    assert problem(web.client().put("/api/images/k1", data=b"text", headers=web.auth())) == (415, "not-an-image")
    web.images.fail = OutOfSpace("There is no room.")
    assert problem(web.client().put("/api/images/k1", data=picture(), headers=web.auth())) == (507, "out-of-space")
    web.images.fail = Unavailable("Storage does not answer.", retry_after_seconds=7)
    answer = web.client().put("/api/images/k1", data=picture(), headers=web.auth())
    assert problem(answer) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "7"


# ---- GET, HEAD, DELETE ----


def test_metadata_names_partition_and_node(web: Web) -> None:
    for key, partition in (("k1", 12), ("k2", 7)):
        web.client().put(f"/api/images/{key}", data=picture(), headers=web.auth())
        answer = web.client().get(f"/api/images/{key}", headers=web.auth(scope="read"))
        facts = answer.get_json()
        assert (facts["partition"], facts["node"]) == (partition, (partition - 1) % 2)
        assert answer.headers["ETag"] == facts["etag"]
        assert answer.headers["Cache-Control"] == "no-store"


def test_head_is_get_without_a_body(web: Web) -> None:
    web.client().put("/api/images/k1", data=picture(), headers=web.auth())
    got = web.client().get("/api/images/k1", headers=web.auth())
    head = web.client().head("/api/images/k1", headers=web.auth())
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["ETag"] == got.headers["ETag"]
    assert head.headers["Content-Length"] == str(len(got.data))
    assert web.client().head("/api/images/none", headers=web.auth()).status_code == 404


def test_delete(web: Web) -> None:
    etag = web.client().put("/api/images/k1", data=picture(), headers=web.auth()).headers["ETag"]
    answer = web.client().delete("/api/images/k1", headers=web.auth() | {"If-Match": '"other"'})
    assert problem(answer) == (412, "precondition-failed")
    answer = web.client().delete("/api/images/k1", headers=web.auth() | {"If-Match": etag})
    assert (answer.status_code, answer.data) == (204, b"")
    for method in ("GET", "DELETE"):
        assert problem(web.client().open("/api/images/k1", method=method, headers=web.auth())) == (404, "not-found")


def test_only_the_owner_and_administrators_change_an_image(web: Web) -> None:
    web.client().put("/api/images/k1", data=picture(1), headers=web.auth("ann"))
    assert problem(web.client().put("/api/images/k1", data=picture(2), headers=web.auth("bob"))) == (403, "forbidden")
    assert problem(web.client().delete("/api/images/k1", headers=web.auth("bob"))) == (403, "forbidden")
    # A token without the scope makes an administrator a plain user.
    plain = web.auth("root", "write")
    assert problem(web.client().delete("/api/images/k1", headers=plain)) == (403, "forbidden")
    assert web.client().delete("/api/images/k1", headers=web.admin).status_code == 204


# ---- Keys in paths ----

GOOD_KEYS = [
    "with space", "a/b/c", "grüße/日本語/🖼", "k" * 255, "é" * 255, "a.b..c", "...", "100%", "a%2Fb", "?q#f", "a+b",
    "Case1", "case1", "case1 ", "semi;colon", "quote'\"<>&", "back\\slash", ".hidden", "delete", "api/images", "\ufffd",
]  # fmt: skip
BAD_KEYS = [
    "", "k" * 256, "..", ".", "a/../b", "a/./b", "a//b", "/a", "//a", "a/", "a//", "/", "//", "a\nb", "\n", "a\x00b",
    "a\x7fb", "e\u0301",
]  # fmt: skip


@pytest.mark.parametrize("key", GOOD_KEYS, ids=ascii)
def test_good_keys(web: Web, key: str) -> None:
    path = b"/api/images/" + key.encode()
    assert call(web, "PUT", path, picture()).status_code == 201
    assert call(web, "GET", path).get_json()["key"] == key
    assert list(web.images.stored) == [key]
    image = call(web, "GET", b"/images/" + key.encode())
    assert (image.status_code, image.data) == (200, picture())
    assert call(web, "DELETE", path).status_code == 204


@pytest.mark.parametrize("key", BAD_KEYS, ids=ascii)
def test_bad_keys(web: Web, key: str) -> None:
    for method in ("PUT", "GET", "DELETE"):
        answer = call(web, method, b"/api/images/" + key.encode(), picture() if method == "PUT" else None)
        assert problem(answer) == (400, "invalid-key"), method
    assert call(web, "GET", b"/images/" + key.encode()).status_code == 400


@pytest.mark.parametrize("path", [b"\xe9", b"a\xff", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_a_path_that_is_no_utf8(web: Web, path: bytes) -> None:
    for method in ("PUT", "GET", "DELETE"):
        answer = call(web, method, b"/api/images/" + path, picture() if method == "PUT" else None)
        assert problem(answer) == (400, "invalid-key")


def test_nothing_is_redirected(web: Web) -> None:
    for path in (b"//api/images/k1", b"/api//images/k1", b"/api/images//k1", b"/api/images/k1/", b"/api/list_keys//"):
        for method in ("GET", "PUT", "POST"):
            answer = call(web, method, path, picture() if method == "PUT" else None)
            assert answer.status_code in (400, 404, 405), (method, path)


# ---- Lists ----


def stored_keys(web: Web, *keys: str) -> None:
    for key in keys:
        assert web.client().put(f"/api/images/{quote(key)}", data=picture(), headers=web.auth()).status_code == 201


def test_lists_are_paged(web: Web) -> None:
    stored_keys(web, "b", "a", "c/1", "c/2", "é")
    found: list[str] = []
    cursor, pages = "", 0
    while True:
        answer = web.client().get(f"/api/images?limit=2&cursor={cursor}", headers=web.auth()).get_json()
        found += [image["key"] for image in answer["images"]]
        pages += 1
        if answer["next"] is None:
            break
        cursor = answer["next"]
    assert (found, pages) == (["a", "b", "c/1", "c/2", "é"], 3)
    assert all({"partition", "node", "url"} <= image.keys() for image in answer["images"])


def test_lists_by_prefix(web: Web) -> None:
    stored_keys(web, "b", "a", "c/1", "c/2", "é")

    def keys(query: str) -> list[str]:
        answer = web.client().get(f"/api/images?{query}", headers=web.auth())
        return [image["key"] for image in answer.get_json()["images"]]

    assert keys("prefix=c/") == ["c/1", "c/2"]
    assert keys("prefix=%C3%A9") == ["é"]
    assert keys("prefix=%E9") == []
    assert keys("prefix=none") == []
    assert len(keys("prefix=&limit=&cursor=")) == 5
    assert len(keys("limit=1000")) == 5
    assert keys("limit=1") == ["a"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=abc", "limit=-1", "limit=1.5", "limit=nan", "limit=%D9%A3", "limit=+1",
        "limit=" + "9" * 5000, "cursor=nonsense", "cursor=%00", "prefix=" + "k" * 256,
    ],
    ids=lambda query: query[:20],
)  # fmt: skip
def test_lists_that_make_no_sense(web: Web, query: str) -> None:
    assert problem(web.client().get(f"/api/images?{query}", headers=web.auth())) == (400, "invalid-request")


# ---- Errors of routing ----


def test_unknown_paths_and_methods(web: Web) -> None:
    client = web.client()
    assert problem(client.get("/api/nothing", headers=web.auth())) == (404, "not-found")
    assert problem(client.get("/nothing", headers=web.auth())) == (404, "not-found")
    for method, path, allowed in (
        ("PATCH", "/api/images", "GET"),
        ("POST", "/api/images/k1", "PUT"),
        ("GET", "/api/upload", "POST"),
        ("PUT", "/api/list_keys/", "POST"),
        ("POST", "/images/k1", "GET"),
    ):
        answer = client.open(path, method=method, headers=web.auth())
        assert problem(answer) == (405, "method-not-allowed")
        assert allowed in answer.headers["Allow"]


def test_a_failure_of_ours_is_a_problem_document_too(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_key: str) -> object:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(web.images, "metadata", broken)
    answer = web.client().get("/api/images/k1", headers=web.auth())
    assert problem(answer) == (500, "internal-error")
    assert "secret detail" not in answer.text
