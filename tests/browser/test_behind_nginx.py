"""The gallery and the manager below paths of a real nginx, with the configuration of docs/reverse-proxy.md."""

from __future__ import annotations

import contextlib
import http.client
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, FilePayload, expect
from testing.client import Client
from testing.nginx import NGINX, documented, running_nginx
from testing.photographs import photographs
from testing.system import COMMAND, System, running
from testing.waiting import wait_for
from tests.browser.browsing import Visit, visit
from tests.browser.conftest import ADMIN_PASSWORD

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")
KEYS = ["k1", "a folder/größe? #1.png", "100%/a+b&c=d;e.png", "'quoted'/\"twice\"", "~(x)!$,@:*", "a\\b|c^d`e"]


@dataclass
class Site:
    system: System
    url: str
    client: Client


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("behind")
    with running(folder, admin_password=ADMIN_PASSWORD, nodes=1, trusted_proxies="127.0.0.1") as system:
        port = 5009 + system.offset  # nobody else's, like the system's own
        given = documented("reverse-proxy.md")
        for app, documented_port in (("web", 5000), ("manager", 5003)):
            given = given.replace(f"server 127.0.0.1:{documented_port};", f"server 127.0.0.1:{system.port(app)};")
        given = given.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace("$host;", "$host:$server_port;")
        url = f"http://127.0.0.1:{port}"
        with running_nginx(folder / "nginx", given), contextlib.closing(Client(url, system.admin().token)) as client:
            wait_for(lambda: client.readyz() == 200, "nginx answers")
            yield Site(system, url, client)


def test_keys_pass_through_a_path_as_they_are(site: Site) -> None:
    photo = photographs(1)[0]
    for key in KEYS:
        stored = site.client.request("PUT", f"/photos/api/images/{quote(key)}", body=photo.body)
        assert stored.status == 201, stored.body
        assert stored.json["key"] == key
        assert stored.headers["Location"] == stored.json["url"] == f"/photos/images/{quote(key)}"
        answer = site.client.request("GET", stored.json["url"])
        assert (answer.status, answer.body) == (200, photo.body)
        assert site.client.get(key).body == photo.body
        conditional = site.client.request("GET", stored.json["url"], headers={"If-None-Match": answer.headers["ETag"]})
        assert conditional.status == 304
    assert site.client.request("GET", "/photos").headers["Location"] == "/photos/"
    url = f"{site.url}/photos"
    given = {"ELASTIC_IMAGES_TOKEN": site.client.token or ""}
    listed = subprocess.check_output([COMMAND, "ls", "--url", url], env=given)
    assert listed.decode().count("\n") >= len(KEYS)


def test_what_clients_forward_does_not_count(site: Site) -> None:
    made_up = {
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-For": "6.6.6.6",
        "X_Forwarded_For": "6.6.6.6",
        "X_Forwarded_Prefix": "/evil",
        "Accept": "text/html",
    }
    for path, prefix in (("/", ""), ("/photos/", "/photos"), ("/photos-manager/", "/photos-manager")):
        answer = site.client.request("GET", path, headers=made_up | {"Authorization": ""})
        assert (answer.status, answer.headers["Location"]) == (303, f"{prefix}/login?next=/")
    form = f"name=admin&password={quote(ADMIN_PASSWORD)}".encode()
    headers = made_up | {"Content-Type": "application/x-www-form-urlencoded", "Origin": site.url}
    answer = site.client.request("POST", "/photos/login", body=form, headers=headers)
    assert answer.status == 303
    cookie = re.findall(r"(elastic_images_[0-9a-f]+=[^;]+);", answer.headers["Set-Cookie"])[0]
    assert f"{cookie.partition('=')[0]}=" in answer.headers["Set-Cookie"]
    page = site.client.request("GET", "/photos/account", headers={"Cookie": cookie, "Authorization": ""})
    assert b"6.6.6.6" not in page.body
    assert b"127.0.0.1" in page.body


def test_strangers_cannot_forward_by_an_underscore(site: Site) -> None:
    # Straight to web: nginx itself drops such fields.
    parts = urlsplit(site.system.url())
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/", headers={"X_Forwarded_Prefix": "/evil", "Accept": "text/html"})
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.headers["Location"]) == (303, "/login?next=/")
        # A target with a host of its own is judged by that, whatever Host says.
        connection.request("GET", "http://foreign.example/", headers={"Host": parts.netloc})
        answer = connection.getresponse()
        assert (answer.status, b"Unknown Host" in answer.read()) == (400, True)
        connection.request("GET", f"http://{parts.netloc}/healthz", headers={"Host": parts.netloc})
        assert connection.getresponse().status == 200


def log_in(one: Visit) -> None:
    page = one.go("/")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password", exact=True).fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{one.url}/")


def test_people_use_the_gallery_below_a_path(browser: Browser, site: Site) -> None:
    photo = photographs(2)[1]
    with visit(browser, f"{site.url}/photos") as one:
        log_in(one)
        page = one.page
        page.get_by_role("link", name="Upload").first.click()
        with page.expect_file_chooser() as chooser:
            page.get_by_text("Choose files").click()
        given: FilePayload = {"name": "by script.jpg", "mimeType": photo.content_type, "buffer": photo.body}
        chooser.value.set_files([given])
        opened = page.get_by_role("link", name="Open by script.jpg")
        opened.click()
        page.wait_for_url(f"{one.url}/view/by%20script.jpg")
        expect(page.locator(".stage img")).to_have_js_property("complete", value=True)
        assert page.locator(".stage img").evaluate("image => image.naturalWidth") > 0
        page.get_by_role("link", name="Images").first.click()
        page.get_by_placeholder("Search images").fill("by scr")  # as one types, a script asks
        expect(page.locator("#gallery li")).to_have_count(1)
        assert urlsplit(page.url).path == "/photos/"
        page.locator("#gallery a").click()
        page.get_by_role("button", name="Delete", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Delete image").click()
        page.get_by_role("button", name="Undo").click()
        page.wait_for_url(f"{one.url}/view/by%20script.jpg*")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{one.url}/login*")
    with visit(browser, f"{site.url}/photos-manager") as one:
        log_in(one)
        expect(one.page.locator("#charts canvas").first).to_be_visible()
        one.page.get_by_role("link", name="Pool", exact=True).click()
        one.page.wait_for_url(f"{one.url}/pool")
