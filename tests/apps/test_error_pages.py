"""Errors where a browser navigates are pages that lead on; everything else gets the problem document, as ever."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.apps.test_below_a_path import BEHIND, PREFIX
from tests.apps.test_web_pages import Page
from tests.apps.web_support import BROWSER, Web, open_web

from elastic_images.core.errors import (
    ElasticImagesError,
    Forbidden,
    NotFound,
    RenditionNotAllowed,
    SignatureExpired,
    SignatureInvalid,
    Unavailable,
)
from elastic_images.http.problems import problem_answer
from elastic_images.web.navigations import wants_page

NAVIGATION = BROWSER | {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
IMG = {"Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "Sec-Fetch-Dest": "image"}
UNKNOWN = "/images/a folder/größe? #1.png"


@pytest.fixture(scope="module")
def shared_web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web"), trusted_proxies=BEHIND) as web:
        yield web


@pytest.fixture
def web(shared_web: Web) -> Iterator[Web]:
    yield shared_web
    shared_web.plane.refusal = None


def front_environ(headers: Mapping[str, str], path: str = UNKNOWN) -> dict[str, Any]:
    """A request as the front gives it to the data plane: no more than the protocol demands."""
    fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    place = {"REQUEST_METHOD": "GET", "PATH_INFO": path.encode().decode("latin-1"), "QUERY_STRING": ""}
    return {"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http", "HTTP_HOST": "localhost", **place, **fields}


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        (NAVIGATION, True),
        (BROWSER, True),
        (IMG, False),
        ({"Accept": IMG["Accept"]}, False),
        ({"Accept": "*/*"}, False),
        ({}, False),
        ({"Accept": "application/json, text/html;q=0.5"}, False),
        ({"Accept": "text/html;q=0"}, False),
        (BROWSER | {"Sec-Fetch-Dest": "empty"}, False),
        (BROWSER | {"Sec-Fetch-Dest": "image"}, False),
    ],
    ids=str,
)
def test_who_gets_a_page(headers: dict[str, str], page: bool) -> None:
    assert wants_page(front_environ(headers)) == page


def test_programs_get_the_same_as_ever(web: Web) -> None:
    for headers in (IMG, {"Accept": "*/*"}, {}):
        error = NotFound("There is no image with this key.")
        assert web.plane.refuse(error, front_environ(headers)) == problem_answer(error)


def test_a_page_for_an_unknown_image_has_our_policy_and_is_not_kept(web: Web) -> None:
    status, headers, body = web.plane.refuse(NotFound("There is no image with this key."), front_environ(NAVIGATION))
    told = dict(headers)
    assert status == "404 NOT FOUND"
    assert told["Content-Type"] == "text/html; charset=utf-8"
    assert told["Content-Length"] == str(len(body))
    assert told["Cache-Control"] == "no-store"
    assert "default-src 'none'" in told["Content-Security-Policy"]
    assert "unsafe" not in told["Content-Security-Policy"]
    assert b"Image not found" in body
    assert b'href="/login?next=/images/a%2520folder/gr%25C3%25B6%25C3%259Fe%253F%2520%25231.png"' in body


def test_the_login_leads_back_to_the_image(web: Web) -> None:
    page = Page(web.client().get("/images/none?w=320", headers=NAVIGATION))
    assert "/login?next=/images/none%3Fw%3D320" in page.all("a", "href")


def test_who_is_logged_in_is_led_to_search_and_gallery_instead(web: Web) -> None:
    for path in ("/images/none", "/view/none", "/nowhere"):
        answer = web.browser().get(path, headers=NAVIGATION)
        assert answer.status_code == 404, path
        page = Page(answer)
        assert not [link for link in page.all("a", "href") if link.startswith("/login")]
        assert "/" in page.all("a", "href")
        assert "prefix" in page.fields()
        assert page.words.count("ann") == 1


def test_an_invisible_image_has_the_page_of_an_unknown_one(web: Web) -> None:
    assert web.client().get("/images/one", headers=NAVIGATION).text.replace("one", "two") == web.client().get(
        "/images/two", headers=NAVIGATION
    ).text.replace("one", "two")


def test_a_forbidden_page_leads_back_to_the_gallery(web: Web) -> None:
    web.plane.refusal = Forbidden("This requires the scope 'admin'.")
    page = Page(web.browser().get("/images/k1", headers=NAVIGATION))
    assert "You can’t do this" in page.words
    assert "scope 'admin'" in page.words
    assert "/" in page.all("a", "href")


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (SignatureExpired("Its time is over."), "This link has expired"),
        (SignatureInvalid("x"), "This link doesn’t work"),
    ],
)
def test_a_link_that_opens_nothing_says_so(web: Web, error: ElasticImagesError, title: str) -> None:
    web.plane.refusal = error
    answer = web.client().get("/images/k1", headers=NAVIGATION)
    assert answer.status_code == 403
    assert title in Page(answer).words
    assert str(error) in Page(answer).words
    document = web.client().get("/images/k1", headers=IMG)
    assert json.loads(document.data)["type"].endswith(error.slug)


def test_a_size_that_is_not_offered_leads_to_the_nearest_and_to_the_original(web: Web) -> None:
    web.plane.refusal = RenditionNotAllowed("For any other, sign the address.", nearest="/images/a%20b?w=320&fit=cover")
    page = Page(web.client().get("/images/a b?w=321", headers=NAVIGATION))
    assert {"/images/a%20b?w=320&fit=cover", "/images/a%20b"} <= set(page.all("a", "href"))
    assert "For any other, sign the address." in page.words


def test_what_is_unavailable_can_be_tried_again(web: Web) -> None:
    web.plane.refusal = Unavailable("Storage does not respond.", retry_after_seconds=3)
    answer = web.client().get("/images/k1?w=320", headers=NAVIGATION)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert "/images/k1?w=320" in Page(answer).all("a", "href")


def test_below_a_path(web: Web) -> None:
    environ = front_environ(NAVIGATION | {"X-Forwarded-Prefix": PREFIX})
    body = web.plane.refuse(NotFound("There is no image with this key."), environ).body.decode()
    assert f'href="{PREFIX}/login?next=/images/' in body
    assert f'href="{PREFIX}/assets/' in body


def test_a_broken_token_is_told_to_log_in(web: Web) -> None:
    answer = web.client().get("/images/none", headers=NAVIGATION | {"Authorization": "Bearer ei_wrong"})
    assert answer.status_code == 404
    assert "Log in" in Page(answer).words


def test_a_database_that_is_away_changes_no_page(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    def away(_secret: str) -> None:
        raise OperationalError("select", {}, Exception("no such host"))

    browser = web.browser()
    monkeypatch.setattr(web.accounts, "of_session", away)
    assert browser.get("/images/none", headers=NAVIGATION).status_code == 404


def test_where_visitors_may_see_nothing_they_are_led_to_the_login(tmp_path_factory: pytest.TempPathFactory) -> None:
    with open_web(tmp_path_factory.mktemp("closed"), anonymous="none") as web:
        answer = web.client().get("/images/none", headers=NAVIGATION)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login?next=/images/none")
        assert web.client().get("/images/none", headers=IMG).status_code == 401
        assert "Image not found" in web.browser().get("/images/none", headers=NAVIGATION).text
