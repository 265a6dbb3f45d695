"""Visibility, renaming and batches in the REST API and on the pages, with a stand-in for storage."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from tests.apps.test_web_openapi import check
from tests.apps.test_web_pages import Page, get, upload
from tests.apps.web_support import Web, open_web, picture
from werkzeug.test import TestResponse

from elastic_images.core.keys import quote_key


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


def test_the_delete_page_tells_of_kept_copies(web: Web) -> None:
    put(web, "k1")
    put(web, "k2", "private")
    assert "Browsers and CDNs" in get(web.browser(), "/delete/k1").words
    assert "Browsers and CDNs" not in get(web.browser(), "/delete/k2").words


def test_the_gallery_marks_what_is_not_public(web: Web) -> None:
    for key, word in (("a", "public"), ("b", "members"), ("c", "private")):
        put(web, key, word)
    text = web.browser().get("/").text
    assert re.findall(r'class="tile-mark" title="([^":]+)', text) == ["Private", "Members"]
