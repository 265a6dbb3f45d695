"""Visibility, renaming and batches in the REST API and on the pages, with a stand-in for storage."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.apps.test_web_openapi import check
from tests.apps.test_web_pages import Page, get, upload
from tests.apps.web_support import Web, open_web, picture
from werkzeug.test import TestResponse

from elastic_images.core.keys import quote_key

DIGEST = hashlib.sha256(picture()).hexdigest()


@pytest.fixture(scope="module")
def shared_web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web"), anonymous="write") as web:
        yield web


@pytest.fixture
def web(shared_web: Web) -> Web:
    shared_web.images.stored.clear()
    return shared_web


def put(web: Web, key: str, visibility: str | None = None, user: str = "ann", shade: int = 128) -> TestResponse:
    headers = web.auth(user) | ({"X-Visibility": visibility} if visibility else {})
    return web.client().put(f"/api/images/{quote_key(key)}", data=picture(shade), headers=headers)


def patch(web: Web, key: str, body: object, user: str = "ann", **headers: str) -> TestResponse:
    answer = web.client().patch(f"/api/images/{quote_key(key)}", json=body, headers=web.auth(user) | headers)
    check(answer, "PATCH", "/api/images/{key}")
    return answer


def visibility(web: Web, key: str) -> str:
    return web.images.stored[key].metadata["visibility"]


# ---- REST ----


def test_a_put_says_who_sees_the_image(web: Web) -> None:
    assert put(web, "k1").get_json()["visibility"] == "public"
    assert put(web, "k2", "private").get_json()["visibility"] == "private"
    assert put(web, "k2", shade=3).get_json()["visibility"] == "private"
    assert put(web, "k2", "members").get_json()["visibility"] == "members"
    refused = put(web, "k3", "secret")
    assert check(refused, "PUT", "/api/images/{key}") == 400
    assert "public, members or private" in refused.get_json()["detail"]
    assert "k3" not in web.images.stored


def test_a_patch_renames_and_hides(web: Web) -> None:
    put(web, "a b/ü")
    hidden = patch(web, "a b/ü", {"visibility": "private"})
    assert (hidden.status_code, hidden.get_json()["visibility"]) == (200, "private")
    moved = patch(web, "a b/ü", {"key": "c/ü d"})
    assert (moved.status_code, moved.get_json()["key"]) == (200, "c/ü d")
    assert moved.headers["Location"] == "/images/c/%C3%BC%20d"
    assert moved.headers["ETag"] == f'"{DIGEST}"'
    both = patch(web, "c/ü d", {"key": "e", "visibility": "members"})
    assert (both.get_json()["key"], both.get_json()["visibility"]) == ("e", "members")
    assert list(web.images.stored) == ["e"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "Give a new key, a visibility, or both."),
        ({"visibility": None, "key": None}, 400, "Give a new key, a visibility, or both."),
        ({"visibility": "secret"}, 400, "public, members or private"),
        ({"visibility": ["public"]}, 400, "public, members or private"),
        ({"key": 5}, 400, "key must be a string"),
        ({"key": "a//b"}, 400, "segment"),
        ({"key": "a\u202eb"}, 400, "direction"),
        ({"key": "e\u0301"}, 400, "NFC"),
        ({"key": "taken"}, 409, "There is an image"),
        ({"owner": "bob"}, 400, "Unknown name 'owner'"),
        (["key"], 400, "must be a JSON object"),
    ],
    ids=str,
)
def test_a_bad_patch_changes_nothing(web: Web, body: object, status: int, words: str) -> None:
    put(web, "k1")
    put(web, "taken", "private", "bob")
    answer = patch(web, "k1", body)
    assert answer.status_code == status
    assert words in answer.get_json()["detail"]
    assert set(web.images.stored) == {"k1", "taken"}
    assert visibility(web, "k1") == "public"


def test_what_one_sees_and_may_not_change_is_forbidden_and_what_one_does_not_see_is_not_there(web: Web) -> None:
    put(web, "seen")
    put(web, "hidden", "private")
    for key, status in (("seen", 403), ("hidden", 404), ("none", 404)):
        for body in ({"key": "mine"}, {"visibility": "public"}, {"key": "mine", "visibility": "public"}):
            assert patch(web, key, body, "bob").status_code == status, (key, body)
    assert patch(web, "hidden", {"visibility": "public"}, "bob", **{"If-Match": '"x"'}).status_code == 404
    assert patch(web, "hidden", {"visibility": "public"}, "ann", **{"If-Match": '"x"'}).status_code == 412


def test_the_list_by_visibility(web: Web) -> None:
    for key, word in (("a", None), ("b", "members"), ("c", "private"), ("d", "private")):
        put(web, key, word, "bob" if key == "d" else "ann")

    def listed(query: str = "", user: str = "ann") -> list[str]:
        answer = web.client().get(f"/api/images{query}", headers=web.auth(user))
        assert check(answer, "GET", "/api/images") == 200
        return [image["key"] for image in answer.get_json()["images"]]

    assert listed() == ["a", "b", "c"]
    assert listed(user="bob") == ["a", "b", "d"]
    assert listed("?visibility=private") == ["c"]
    assert listed("?visibility=") == ["a", "b", "c"]
    assert [image["key"] for image in web.client().get("/api/images").get_json()["images"]] == ["a"]
    answer = web.client().get("/api/images?visibility=hidden", headers=web.auth())
    assert check(answer, "GET", "/api/images") == 400


def test_keys_that_are_called_as_the_routes_are(web: Web) -> None:
    for key in ("batch", "have"):
        assert put(web, key).status_code == 201
        assert patch(web, key, {"visibility": "members"}).status_code == 200
        assert web.client().get(f"/api/images/{key}", headers=web.auth()).get_json()["key"] == key
        assert web.client().delete(f"/api/images/{key}", headers=web.auth()).status_code == 204


# ---- Pages ----


def test_the_upload_form_says_who_will_see_the_images(web: Web) -> None:
    browser = web.browser()
    assert get(browser, "/upload").all("option", "value") == ["public", "members", "private"]
    upload(browser, "/upload", ("a.png", picture()), ("b.png", picture(3)), visibility="private")
    assert (visibility(web, "a.png"), visibility(web, "b.png")) == ("private", "private")
    answer = upload(browser, "/upload", ("c.png", picture()), visibility="all")
    assert answer.status_code == 400
    assert "public, members or private" in answer.text
    assert set(web.images.stored) == {"a.png", "b.png"}


def test_an_image_that_is_replaced_keeps_its_visibility(web: Web) -> None:
    put(web, "a.png", "private")
    browser = web.browser()
    upload(browser, "/upload", ("a.png", picture(3)), ("b.png", picture()), visibility="public", replace="yes")
    assert (visibility(web, "a.png"), visibility(web, "b.png")) == ("private", "public")
    assert web.images.stored["a.png"].body == picture(3)
    browser.post("/replace/a.png", data={"file": (io.BytesIO(picture(4)), "x.png")})
    assert (visibility(web, "a.png"), web.images.stored["a.png"].body) == ("private", picture(4))


def test_visitors_are_not_asked_who_sees_their_uploads(web: Web) -> None:
    put(web, "nobodys")
    web.images.stored["nobodys"].owner_id = web.images.stored["nobodys"].metadata["owner"] = None
    for path in ("/upload", "/view/nobodys"):
        assert "visibility" not in Page(web.client().get(path, headers={"Accept": "text/html"})).all("select", "name")
    answer = upload(web.client(), "/upload", ("v.png", picture()))
    assert answer.headers["Location"] == "/view/v.png?done=stored"
    # Nor led to what they could not see.
    answer = upload(web.client(), "/upload", ("w.png", picture()), visibility="private")
    assert answer.headers["Location"] == "/?done=uploaded"


def test_the_image_page_hides_and_shows(web: Web) -> None:
    put(web, "a/k 1")
    browser = web.browser()
    page = get(browser, "/view/a/k%201")
    assert "Anyone who has the link can open it." in page.words
    assert "Browsers and CDNs that have kept copies" in page.words
    answer = browser.post("/visibility/a/k%201", data={"visibility": "private"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/view/a/k%201?done=visibility")
    page = get(browser, answer.headers["Location"])
    assert "Visibility changed." in page.words
    assert "Owner and administrators" in page.words
    assert "Browsers and CDNs" not in page.words
    assert browser.post("/visibility/a/k%201", data={"visibility": "all"}).status_code == 400
    assert browser.post("/visibility/a/k%201").status_code == 400
    assert visibility(web, "a/k 1") == "private"


def test_the_delete_page_tells_of_kept_copies(web: Web) -> None:
    put(web, "k1")
    put(web, "k2", "private")
    assert "Browsers and CDNs" in get(web.browser(), "/delete/k1").words
    assert "Browsers and CDNs" not in get(web.browser(), "/delete/k2").words


def test_the_image_page_renames(web: Web) -> None:
    put(web, "a/k 1")
    put(web, "taken")
    browser = web.browser()
    assert get(browser, "/view/a/k%201").fields()["key"] == "a/k 1"
    for new, status, words in (("taken", 409, "There is an image"), ("", 400, "key"), ("a//b", 400, "segment")):
        answer = browser.post("/rename/a/k%201", data={"key": new})
        assert answer.status_code == status
        page = Page(answer)
        assert words in page.words
        assert page.fields()["key"] == (new or "a/k 1")
    answer = browser.post("/rename/a/k%201", data={"key": " b/e\u0301 "})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/view/b/%C3%A9?done=renamed")
    assert set(web.images.stored) == {"b/é", "taken"}
    same = browser.post("/rename/taken", data={"key": "taken"})
    assert same.headers["Location"] == "/view/taken?done=renamed"


def test_the_gallery_marks_what_is_not_public(web: Web) -> None:
    for key, word in (("a", "public"), ("b", "members"), ("c", "private")):
        put(web, key, word)
    text = web.browser().get("/").text
    assert re.findall(r'class="tile-mark" title="([^":]+)', text) == ["Private", "Members"]


def test_only_who_may_change_an_image_is_offered_to(web: Web) -> None:
    put(web, "k1")
    for user, sees in (("ann", True), ("root", True), ("bob", False)):
        forms = get(web.browser(user), "/view/k1").all("form", "action")
        assert ("/visibility/k1" in forms) == ("/rename/k1" in forms) == sees
    bob = web.browser("bob")
    assert bob.post("/visibility/k1", data={"visibility": "private"}).status_code == 403
    assert bob.post("/rename/k1", data={"key": "k2"}).status_code == 403
    assert list(web.images.stored) == ["k1"]


@pytest.mark.parametrize(("mode", "sees"), [("write", False), ("admin", True)])
def test_the_course_api_shows_what_the_caller_may_see(tmp_path: Path, mode: str, sees: bool) -> None:
    with open_web(tmp_path, anonymous=mode) as web:
        put(web, "hidden", "private")
        visitor = web.client()
        form = {"key": "k1", "file": (io.BytesIO(picture()), "x.png")}
        assert visitor.post("/api/upload", data=form).get_json() == {"success": "true", "key": "k1"}
        assert visibility(web, "k1") == "public"
        assert visitor.post("/api/list_keys").get_json()["keys"] == (["hidden", "k1"] if sees else ["k1"])
        assert visitor.post("/api/key/k1").get_json()["success"] == "true"
        found, unknown = (visitor.post(f"/api/key/{key}").get_json() for key in ("hidden", "none"))
        assert (found["success"] == "true") == sees
        assert sees or found == unknown
        assert web.client().post("/api/list_keys", headers=web.auth("ann")).get_json()["keys"] == ["hidden", "k1"]
