"""web and manager below a path of a proxy's: every link, form and file of every page stays below it, and works."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from testing.settings import make_settings
from tests.apps.accounts_support import PASSWORD, accounts_of
from tests.apps.test_manager import Manager
from tests.apps.web_support import open_web, picture
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "/our/photos"
PAGE = {"Accept": "text/html", "Origin": "http://localhost"}
BEHIND = ("127.0.0.1",)
KEYS = ["k1", "a folder/größe? #1.png", "100%/a+b&c.png"]


class Proxy:
    """Publishes an app below `PREFIX`, and nothing else."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(f"{PREFIX}/"):
            return Response(status=404)(environ, start_response)
        environ |= {"REMOTE_ADDR": BEHIND[0], "PATH_INFO": path.removeprefix(PREFIX), "HTTP_X_FORWARDED_PREFIX": PREFIX}
        return self._app(environ, start_response)


class Addresses(HTMLParser):
    """What a page refers to: what is fetched, and where forms are sent."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched: set[str] = set()
        self.sent: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and "action" in found:
            (self.sent if found.get("method") == "post" else self.fetched).add(found["action"] or "")
        self.fetched |= {value for name in ("href", "src", "hx-get") if (value := found.get(name))}


def crawl(client: Client) -> dict[str, TestResponse]:
    """Every page and file that can be reached by links from the first page."""
    answers: dict[str, TestResponse] = {}
    waiting = [f"{PREFIX}/"]
    while waiting:
        address = waiting.pop().partition("#")[0]
        if not address or address in answers:
            continue
        assert address.startswith(f"{PREFIX}/"), (address, list(answers)[-1:])
        answers[address] = answer = client.get(address, headers=PAGE)
        assert answer.status_code == (303 if address == f"{PREFIX}/login" else 200), (address, answer.status)
        if answer.status_code == 200 and answer.mimetype == "text/html":
            found = Addresses(answer.text)
            assert all(place.startswith(f"{PREFIX}/") for place in found.sent), (address, found.sent)
            waiting += found.fetched
    return answers


def logged_in(app: WSGIApplication) -> Client:
    client = Client(Proxy(app))
    first = client.get(f"{PREFIX}/", headers=PAGE)
    assert first.headers["Location"] == f"{PREFIX}/login?next=/"
    form = {"name": "root", "password": PASSWORD, "next": "/"}
    answer = client.post(f"{PREFIX}/login", data=form, headers=PAGE)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PREFIX}/")
    paths = [re.findall("Path=([^;]+)", cookie) for cookie in answer.headers.getlist("Set-Cookie")]
    assert paths == [[f"{PREFIX}/"], [f"{PREFIX}/login"]]
    return client


def test_web(tmp_path: Path) -> None:
    with open_web(tmp_path, trusted_proxies=BEHIND) as web:
        client = logged_in(web.app)
        for key in KEYS:
            stored = client.put(f"{PREFIX}/api/images/{quote(key)}", data=picture(), headers=PAGE)
            assert (stored.status_code, stored.headers["Location"]) == (201, f"{PREFIX}/images/{quote(key)}")
            assert stored.json is not None
            assert stored.json["url"] == f"{PREFIX}/images/{quote(key)}"
        pages = {address.removeprefix(PREFIX) for address in crawl(client)}
        assert {"/", "/upload", "/trash", "/account", "/openapi.json", "/view/k1", "/images/k1"} <= pages
        assert f"http://localhost{PREFIX}/images/k1" in client.get(f"{PREFIX}/view/k1", headers=PAGE).text
        document = client.get(f"{PREFIX}/openapi.json").json
        assert document is not None
        assert document["servers"] == [{"url": PREFIX}]
        deleted = client.post(f"{PREFIX}/delete/k1", headers=PAGE)
        assert deleted.headers["Location"] == f"{PREFIX}/?done=deleted&undo=k1"
        assert client.post(f"{PREFIX}/logout", headers=PAGE).headers["Location"].startswith(f"{PREFIX}/login")
        assert client.get(f"{PREFIX}/", headers=PAGE).status_code == 303


def test_the_manager(tmp_path: Path) -> None:
    with accounts_of(tmp_path, ann="user", root="admin") as accounts:
        manager = Manager(accounts, make_settings(data=tmp_path, trusted_proxies=BEHIND))
        client = logged_in(manager.app)
        pages = {address.removeprefix(PREFIX) for address in crawl(client)}
        assert {"/", "/pool", "/events", "/images", "/users", "/users/ann", "/tokens", "/settings", "/account"} <= pages
        answer = client.post(f"{PREFIX}/pool/clear", headers=PAGE)
        assert answer.headers["Location"].startswith(f"{PREFIX}/pool?note=")
        made = client.post(f"{PREFIX}/api/users", json={"name": "bob"}, headers=PAGE)
        assert made.headers["Location"] == f"{PREFIX}/api/users/bob"


def test_strangers_cannot_set_a_prefix(tmp_path: Path) -> None:
    with open_web(tmp_path) as web:
        answer = web.client().get("/", headers=PAGE | {"X-Forwarded-Prefix": PREFIX})
        assert answer.headers["Location"] == "/login?next=/"
        assert PREFIX not in web.browser().get("/", headers={"X-Forwarded-Prefix": PREFIX}).text


SOURCES = Path(__file__).parents[2] / "src" / "elastic_images"


def named(file: Path) -> str:
    return f"{file.parts[-3]}/{file.name}"


@pytest.mark.parametrize("file", sorted(SOURCES.glob("*/static/*.js")), ids=named)
def test_scripts_begin_their_paths_with_the_root(file: Path) -> None:
    code = re.sub(r"^\s*(//|\*|/\*).*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert re.findall(r"""["'`]/[a-z?$][^"'`]*""", code) == []


@pytest.mark.parametrize("file", sorted(SOURCES.glob("*/templates/**/*.html")), ids=named)
def test_templates_begin_their_paths_with_the_root(file: Path) -> None:
    assert re.findall(r"""(?:href|src|action|hx-\w+)=["'](?:/|{{ url_for)""", file.read_text(encoding="utf-8")) == []
