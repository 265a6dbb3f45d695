"""What visitors see on web's pages, in each mode of ANONYMOUS: nothing is offered that would be refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from tests.apps.test_web_pages import Page
from tests.apps.web_support import BROWSER, Stored, Web, open_web, picture

from elastic_images.core.image_facts import ImageMetadata


@pytest.fixture(params=["none", "read", "write", "admin"])
def web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web"), anonymous=request.param) as web:
        web.client().put("/api/images/anns", data=picture(), headers=web.auth("ann"))
        facts: ImageMetadata = {**web.images.stored["anns"].metadata, "key": "nobodys", "owner": None}
        web.images.stored["nobodys"] = Stored(facts, picture(), None)
        yield web


def visitor(web: Web) -> FlaskClient:
    client = web.client()
    client.environ_base.update({"HTTP_ACCEPT": BROWSER["Accept"], "HTTP_ORIGIN": "http://localhost"})
    return client


def test_the_first_page(web: Web) -> None:
    answer = visitor(web).get("/", follow_redirects=True)
    assert answer.status_code == 200
    page = Page(answer)
    links = page.all("a", "href")
    is_open = web.guard.mode in ("write", "admin")
    assert ("/upload" in links) == ("/view/anns" in links) == is_open
    assert "Log in" in page.words
    assert "/account" not in links
    assert ("/login" in page.all("form", "action")) == (not is_open)
    words = {
        "none": "visible only to logged-in users",
        "read": "Anyone with its link can view a public image",
        "write": "Visitors can browse public images and upload",
        "admin": "has full access",
    }
    assert words[web.guard.mode] in page.words


@pytest.mark.parametrize("key", ["anns", "nobodys"])
def test_one_image(web: Web, key: str) -> None:
    client = visitor(web)
    answer = client.get(f"/view/{key}")
    may_change = web.guard.mode == "admin" or (web.guard.mode == "write" and key == "nobodys")
    if web.guard.mode in ("none", "read"):
        assert answer.status_code == 303
        assert answer.headers["Location"] == f"/login?next=/view/{key}"
    else:
        assert (f"/delete/{key}" in Page(answer).all("form", "action")) == may_change
        assert client.get(f"/delete/{key}").status_code == (200 if may_change else 403)
    assert client.get(f"/images/{key}").status_code == (303 if web.guard.mode == "none" else 200)
    status = client.post(f"/delete/{key}").status_code
    assert (key not in web.images.stored) == may_change
    assert status in ((303,) if may_change or web.guard.mode in ("none", "read") else (401, 403))
