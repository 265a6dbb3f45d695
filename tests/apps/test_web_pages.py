"""The pages: what people see without a script, and that nothing of theirs becomes markup."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import pytest
from flask.testing import FlaskClient
from tests.apps.accounts_support import PASSWORD
from tests.apps.web_support import BROWSER, LIMIT, Web, open_web, picture, web_settings
from werkzeug.test import TestResponse

from elastic_images.core.errors import Unavailable
from elastic_images.core.image_facts import Actor, ImageMetadata
from elastic_images.core.keys import quote_key
from elastic_images.http.answer import Answer
from elastic_images.web.pages.gallery import shows_whole
from elastic_images.web.pages.share import cache_answer
from elastic_images.web.pages.upload import key_for

NASTY = "<script>alert('\"1\"')</script>&amp;{{ 7*7 }}"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with open_web(tmp_path) as web:
        yield web


FORMATS = ("auto", "jpeg", "png", "webp", "avif")


class Page(HTMLParser):
    """What stands in a page: tags with their attributes, and its text."""

    def __init__(self, answer: TestResponse) -> None:
        super().__init__()
        assert answer.mimetype == "text/html", answer.text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str, attribute: str) -> list[str]:
        """The values of an attribute, over all tags of that name."""
        return [value for name, attrs in self.tags if name == tag and (value := attrs.get(attribute)) is not None]

    def fields(self) -> dict[str, str]:
        """The named inputs, with what stands in them."""
        return {
            attrs["name"] or "": attrs.get("value") or ""
            for tag, attrs in self.tags
            if tag == "input" and attrs.get("name")
        }

    def is_free_of_inline_scripts(self) -> bool:
        """Whether every script is a file of ours."""
        scripts = [attrs.get("src") or "" for tag, attrs in self.tags if tag == "script"]
        return all(source.startswith("/assets/") for source in scripts)


def get(client: FlaskClient, path: str, status: int = 200) -> Page:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return Page(answer)


def store(web: Web, key: str, user: str = "ann") -> None:
    assert web.client().put(f"/api/images/{quote_key(key)}", data=picture(), headers=web.auth(user)).status_code == 201


def upload(client: FlaskClient, path: str = "/upload", *files: tuple[str, bytes], **fields: str) -> TestResponse:
    given: dict[str, Any] = dict(fields)
    given["files"] = [(io.BytesIO(body), name) for name, body in files]
    return client.post(path, data=given)


# ---- Every page ----


def test_pages_are_strict_about_what_they_load(web: Web) -> None:
    store(web, "k1")
    browser = web.browser()
    pages = [
        browser.get(path) for path in ("/", "/upload", "/view/k1", "/delete/k1", "/account", "/docs", "/view/none")
    ]
    pages.append(web.client().get("/login"))
    for answer in pages:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        page = Page(answer)
        assert page.is_free_of_inline_scripts()
        assert "style" not in {tag for tag, _ in page.tags}
        for _, attributes in page.tags:
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]
        assert page.all("html", "lang") == ["en"]
        for address in page.all("link", "href") + page.all("img", "src") + page.all("a", "href"):
            assert re.match(r"[/#](?!/)", address)


def test_administrators_are_led_to_the_manager(web: Web, tmp_path: Path) -> None:
    manager = f"http://localhost:{web_settings(tmp_path).port('manager')}/"
    assert manager in get(web.browser("root"), "/").all("a", "href")
    assert manager not in get(web.browser(), "/").all("a", "href")
    (tmp_path / "proxied").mkdir()
    with open_web(tmp_path / "proxied", trusted_proxies=("10.0.0.1",)) as proxied:
        assert manager not in get(proxied.browser("root"), "/").all("a", "href")


def test_every_input_has_a_label(web: Web) -> None:
    store(web, "k1")
    pages = [web.browser().get(path) for path in ("/", "/upload", "/account", "/view/k1")]
    for text in [page.text for page in (*pages, web.client().get("/login"))]:
        for field in re.findall(r"<(?:input|select)(?![^>]*hidden)[^>]*>", text):
            position = text.index(field)
            inside = text.rfind("<label", 0, position) > text.rfind("</label>", 0, position)
            named = re.search(r' id="([^"]+)"', field)
            assert (
                inside or (named and f'<label for="{named[1]}"' in text) or (named and f'for="{named[1]}">' in text)
            ), field


def test_keys_are_never_markup(web: Web) -> None:
    store(web, NASTY)
    browser = web.browser()
    address = f"/view/{quote_key(NASTY)}"
    for path in ("/", f"/?prefix={quote_key(NASTY)}", address, address.replace("view", "delete")):
        page = get(browser, path)
        assert NASTY in page.words
        assert page.is_free_of_inline_scripts()
    assert address in get(browser, "/").all("a", "href")
    assert f"/images/{quote_key(NASTY)}?rendition=preview" in get(browser, address).all("img", "src")
    absent = get(browser, f"/?prefix=x{quote_key(NASTY)}")
    assert f"x{NASTY}" in absent.words


# ---- Gallery and image ----


def test_the_gallery_searches_and_turns_pages(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elastic_images.web.pages.gallery._PAGE", 2)
    browser = web.browser()
    assert "No images yet" in get(browser, "/").words
    for key in ("a", "b", "c/1", "c/2", "c/3"):
        store(web, key)

    def shown(path: str) -> tuple[list[str], str | None]:
        page = get(browser, path)
        forward = [attrs["href"] for tag, attrs in page.tags if tag == "a" and attrs.get("rel") == "next"]
        links = [link.partition("?")[0] for link in page.all("a", "href")]
        return [link[6:] for link in links if link.startswith("/view/")], (forward or [None])[0]

    keys, onward = shown("/?prefix=c/")
    assert keys == ["c/1", "c/2"]
    assert onward is not None
    assert shown(onward) == (["c/3"], None)
    assert shown("/")[0] == ["c/3", "c/2"]
    assert shown("/?order=key")[0] == ["a", "b"]
    assert shown("/?pages=2")[0] == ["c/3", "c/2", "c/1", "b"]
    assert "No image name starts with" in get(browser, "/?prefix=nothing").words
    for query in ("order=size", "cursor=nonsense", "prefix=" + "k" * 256, "pages=0", "pages=x", "pages=999"):
        get(browser, f"/?{query}", 400)


def test_the_gallery_counts(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elastic_images.web.pages.gallery._PAGE", 2)
    browser = web.browser()
    for key in ("a", "c/1", "c/2", "c/3"):
        store(web, key)
    assert f"4 images, {4 * len(picture())} bytes" in get(web.browser("root"), "/").words
    assert "2+ images" in get(browser, "/").words
    assert "2+ images" in get(browser, "/?prefix=c/").words
    assert "1 image," in get(browser, "/?prefix=c/3").words


def test_the_neighbours_are_those_of_the_listing(web: Web) -> None:
    for key in ("a", "c/1", "c/2", "d"):
        store(web, key)

    def beside(path: str) -> dict[str | None, str | None]:
        page = get(web.browser(), path)
        return {attrs["rel"]: attrs["href"] for tag, attrs in page.tags if tag == "a" and "rel" in attrs}

    assert beside("/view/c/1") == {"prev": "/view/c/2", "next": "/view/a"}
    assert beside("/view/c/1?order=key") == {"prev": "/view/a?order=key", "next": "/view/c/2?order=key"}
    assert beside("/view/c/1?prefix=c%2F") == {"next": "/view/c/2?prefix=c%2F"}
    assert beside("/view/d") == {"next": "/view/c/2"}
    get(web.browser(), "/view/d?prefix=c", 400)


@pytest.mark.parametrize(("width", "height", "whole"), [(600, 400, False), (1000, 300, True), (150, 150, True)])
def test_what_a_tile_shows_whole(width: int, height: int, whole: bool) -> None:
    assert shows_whole(cast(ImageMetadata, {"width": width, "height": height})) == whole


def test_whether_an_image_is_cached(web: Web) -> None:
    store(web, "a/é")
    browser = web.browser()
    assert "not checked yet" in get(browser, "/view/a/%C3%A9").words
    page = get(browser, "/view/a/%C3%A9?ask=1")
    assert "In memory" in page.words
    assert "X-Cache: HIT" in page.words


@pytest.mark.parametrize("word", ["HIT", "HIT-NEAR", "MISS", "BYPASS", "STALE", "", "?"])
def test_every_answer_of_the_cache_has_words(word: str) -> None:
    class Plane:
        def read_whole(self, key: str, actor: Actor) -> Answer:
            raise NotImplementedError

        def locate(self, key: str) -> tuple[int, int | None]:
            raise NotImplementedError

        def respond(self, environ: dict[str, Any], actor: Actor | None = None) -> Answer:
            assert environ["REQUEST_METHOD"] == "HEAD"
            assert actor == ann
            return Answer("200 OK", [("X-Cache", word), ("X-Cache-Node", "3")], b"")

    ann = Actor(1, "ann")
    answer = cache_answer(Plane(), "k1", ann)
    assert (answer.word, answer.node) == (word, "3")
    assert answer.title
    assert answer.words
    assert answer.kind in ("good", "info", "warn", "bad")


def test_what_is_copied(web: Web) -> None:
    key = 'a/[x] "y".png'
    store(web, key)
    page = get(web.browser(), f"/view/{quote_key(key)}")
    address = "http://localhost/images/a/%5Bx%5D%20%22y%22.png"
    shared = [value for value in page.all("input", "value") if address in value]
    assert shared == [
        address,
        f'<img src="{address}" alt="[x] &#34;y&#34;.png" width="8" height="6">',
        f'![\\[x\\] "y".png]({address})',
        f"{address}?v={web.images.stored[key].metadata['sha256'][:12]}",
    ]


def test_sizes_and_formats_to_share(web: Web) -> None:
    store(web, "k1")
    facts = web.images.stored["k1"].metadata
    facts["width"], facts["height"] = 3000, 2000
    browser, address = web.browser(), "http://localhost/images/k1"
    page = get(browser, "/view/k1")
    offered = ["", "320", "640", "960", "1280", "1920", "2560", "", *FORMATS]
    assert page.all("option", "value")[: len(offered)] == offered
    assert "1280 × 853" in page.words
    shared = get(browser, "/view/k1?size=640&format=auto").all("input", "value")
    assert f"{address}?w=640&format=auto" in shared
    (html,) = (text for text in shared if text.startswith("<img"))
    candidates = ", ".join(f"{address}?w={width}&amp;format=auto {width}w" for width in (320, 640, 960, 1280))
    assert html == (
        f'<img src="{address}?w=640&amp;format=auto" srcset="{candidates}" sizes="(min-width: 640px) 640px, 100vw" '
        'alt="k1" width="640" height="427">'
    )
    (whole,) = (text for text in get(browser, "/view/k1").all("input", "value") if text.startswith("<img"))
    assert f"{address}?w=2560 2560w, {address} 3000w" in whole
    for query in ("size=641", "size=x", "format=gif"):
        get(browser, f"/view/k1?{query}", 400)


def test_an_image_shows_its_facts(web: Web) -> None:
    store(web, "k1")
    page = get(web.browser(), "/view/k1")
    for fact in ("8 × 6 pixels", "PNG", "ann", "12 of 16", "2026-09-"):
        assert fact in page.words
    get(web.browser(), "/view/none", 404)
    get(web.browser(), "/view/a//b", 400)


def test_only_who_may_change_an_image_sees_the_forms(web: Web) -> None:
    store(web, "k1", "ann")
    for user, sees in (("ann", True), ("root", True), ("bob", False)):
        forms = get(web.browser(user), "/view/k1").all("form", "action")
        assert ("/delete/k1" in forms) == ("/replace/k1" in forms) == sees
        get(web.browser(user), "/delete/k1", 200 if sees else 403)


def test_replace_and_delete(web: Web) -> None:
    store(web, "a/k 1")
    browser = web.browser()
    answer = browser.post("/replace/a/k%201", data={"file": (io.BytesIO(picture(9)), "x.png")})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/view/a/k%201?done=replaced")
    assert web.images.stored["a/k 1"].body == picture(9)
    assert "Image replaced." in get(browser, answer.headers["Location"]).words
    assert browser.post("/replace/a/k%201", data={"file": (io.BytesIO(b""), "")}).status_code == 400
    assert browser.post("/replace/none", data={"file": (io.BytesIO(picture()), "x")}).status_code == 412
    answer = browser.post("/delete/a/k%201")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/?done=deleted&undo=a/k+1")
    assert not web.images.stored
    assert browser.post("/delete/a/k%201").status_code == 404


def test_what_changed_meanwhile_is_neither_replaced_nor_deleted(web: Web) -> None:
    store(web, "k1")
    browser = web.browser()
    etag = get(browser, "/view/k1").fields()["etag"]
    web.client().put("/api/images/k1", data=picture(7), headers=web.auth())
    for path in ("/replace/k1", "/delete/k1"):
        data: dict[str, Any] = {"etag": etag}
        if path == "/replace/k1":
            data["file"] = (io.BytesIO(picture(9)), "x.png")
        answer = browser.post(path, data=data)
        assert answer.status_code == 412
        assert "Someone else has replaced or deleted this image" in answer.text
    assert web.images.stored["k1"].body == picture(7)
    etag = get(browser, "/delete/k1").fields()["etag"]
    assert browser.post("/delete/k1", data={"etag": etag}).status_code == 303


def test_somebody_elses_image_stays(web: Web) -> None:
    store(web, "k1", "ann")
    browser = web.browser("bob")
    assert browser.post("/delete/k1").status_code == 403
    assert browser.post("/replace/k1", data={"file": (io.BytesIO(picture(9)), "x.png")}).status_code == 403
    assert web.images.stored["k1"].body == picture()


# ---- Upload ----


def test_one_file(web: Web) -> None:
    answer = upload(web.browser(), "/upload", ("été 1.png", picture()))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/view/{quote_key('été 1.png')}?done=stored")
    assert web.images.stored["été 1.png"].metadata["owner"] == "ann"


def test_many_files_in_a_folder(web: Web) -> None:
    answer = upload(
        web.browser(), "/upload", *((f"{number}.png", picture(number)) for number in range(20)), folder="/holidays/"
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/?done=uploaded")
    assert set(web.images.stored) == {f"holidays/{number}.png" for number in range(20)}


def test_what_fails_is_said_and_the_rest_is_stored(web: Web) -> None:
    store(web, "there.png")
    files = [
        ("good.png", picture()), ("bad.png", b"no image"), ("there.png", picture(3)), ("empty.png", b""),
        ("..", picture()), (NASTY, picture()),
    ]  # fmt: skip
    answer = upload(web.browser(), "/upload", *files)
    assert answer.status_code == 415
    page = Page(answer)
    assert "Uploaded: good.png" in " ".join(page.words.split())
    for text in (
        "bad.png: These bytes are no image",
        "there.png: An image with this name already exists",
        "empty.png: The file is empty",
    ):
        assert text in page.words
    assert page.is_free_of_inline_scripts()
    assert web.images.stored["there.png"].body == picture()
    assert upload(web.browser(), "/upload", ("there.png", picture(3)), replace="yes").status_code == 303
    assert web.images.stored["there.png"].body == picture(3)


def test_uploads_that_are_refused_whole(web: Web) -> None:
    browser = web.browser()
    assert browser.post("/upload", data={"files": (io.BytesIO(b""), "")}).status_code == 400
    assert browser.post("/upload", data={"folder": "x"}).status_code == 400
    assert upload(browser, "/upload", ("big.png", bytes(LIMIT + 1))).status_code == 413
    assert not web.images.stored


@pytest.mark.parametrize(
    ("filename", "folder", "key"),
    [
        ("a.png", "", "a.png"),
        ("C:\\pictures\\a.png", "", "a.png"),
        ("folder/a.png", "", "a.png"),
        ("a.png", " x/y/ ", "x/y/a.png"),
        ("e\u0301.png", "", "é.png"),
    ],
)
def test_the_key_of_a_file(filename: str, folder: str, key: str) -> None:
    assert key_for(filename, folder) == key


# ---- Login and account ----


def test_a_page_that_needs_a_login_leads_there_and_back(web: Web) -> None:
    client = web.client()
    client.environ_base.update({"HTTP_ACCEPT": BROWSER["Accept"], "HTTP_ORIGIN": "http://localhost"})
    answer = client.get("/view/a%20b?x=1")
    assert answer.status_code == 303
    page = get(client, answer.headers["Location"])
    target = page.fields()["next"]
    answer = client.post("/login", data={"name": "ann", "password": PASSWORD, "next": target})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/view/a%20b?x=1")
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert client.get("/").status_code == 200
    assert client.post("/logout").status_code == 303
    assert client.get("/").status_code == 303


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_the_login_leads_nowhere_else(web: Web, target: str) -> None:
    answer = web.client().post("/login", data={"name": "ann", "password": PASSWORD, "next": target})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_who_is_logged_in_needs_no_login(web: Web) -> None:
    answer = web.browser().get("/login?next=/upload")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/upload")


def test_a_wrong_password(web: Web) -> None:
    answer = web.client().post("/login", data={"name": NASTY, "password": "wrong"}, headers=BROWSER)
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    page = Page(answer)
    assert "Wrong name or password" in page.words
    assert NASTY in page.all("input", "value")
    for _ in range(12):
        answer = web.client().post("/login", data={"name": "ann", "password": "wrong"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    right, ours = {"name": "ann", "password": PASSWORD}, {"Origin": "http://localhost"}
    known, other = web.client(), web.client()
    assert known.post("/login", data=right, environ_overrides=elsewhere).status_code == 303
    assert known.post("/login", data=right, headers=ours).status_code == 303
    assert other.post("/login", data=right).status_code == 429
    # A forged cookie is none.
    for cookie in (known._cookies or {}).values():
        other.set_cookie(cookie.key, cookie.value[:-4] + "0000", path="/login")
    assert other.post("/login", data=right).status_code == 429


def test_a_password_is_changed(web: Web) -> None:
    browser, other = web.browser(), web.browser()

    def change(current: str, new: str, again: str | None = None) -> int:
        data = {"current": current, "new": new, "again": new if again is None else again}
        return browser.post("/account/password", data=data).status_code

    assert change("wrong password", "another password") == 403
    assert change(PASSWORD, "another password", "an other password") == 400
    assert change(PASSWORD, "short") == 400
    assert change(PASSWORD, "password1234") == 400
    assert browser.get("/account").text.count("/end") == 1  # the failures left no sessions
    assert other.get("/account").status_code == 200
    assert change(PASSWORD, "another password") == 303
    assert browser.get("/account").status_code == 200
    assert other.get("/account").status_code == 303
    old = web.client().post("/login", data={"name": "ann", "password": PASSWORD})
    assert old.status_code == 401


def test_tokens_are_made_shown_once_and_revoked(web: Web) -> None:
    browser = web.browser()
    answer = browser.post("/account/tokens", data={"label": NASTY, "scope": ["read", "write"], "days": "30"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account#new-token")
    cookie = answer.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/account", "Max-Age=60"))
    answer = browser.get("/account")
    assert answer.headers["Cache-Control"] == "no-store"
    page = Page(answer)
    assert NASTY in page.words
    (secret,) = re.findall(r"<code id=\"secret\">(ei_[\w-]+)</code>", answer.text)
    auth = {"Authorization": f"Bearer {secret}"}
    assert web.client().put("/api/images/k1", data=picture(), headers=auth).status_code == 201
    page = get(browser, "/account")  # a reload
    assert secret not in page.words
    (revoke,) = [action for action in page.all("form", "action") if action.endswith("/revoke")]
    assert web.browser("bob").post(revoke).status_code == 404
    assert browser.post(revoke).status_code == 303
    assert web.client().get("/api/images", headers=auth).status_code == 401
    for data in ({"label": "x", "scope": "admin"}, {"label": "", "scope": "read"}, {"label": "x"}):
        assert browser.post("/account/tokens", data=data).status_code in (400, 403)
    assert browser.post("/account/tokens", data={"label": "x", "scope": "read", "days": "nan"}).status_code == 400


def test_sessions_are_listed_and_ended(web: Web) -> None:
    browser, other = web.browser(), web.browser()
    (end,) = [action for action in get(browser, "/account").all("form", "action") if action.endswith("/end")]
    assert web.browser("bob").post(end).status_code == 404
    assert browser.post(end).status_code == 303
    assert other.get("/account").status_code == 303
    assert browser.get("/account").status_code == 200


def test_an_old_browser_needs_the_forms_token(web: Web) -> None:
    store(web, "k1")
    browser = web.browser()
    del browser.environ_base["HTTP_ORIGIN"]
    assert browser.post("/delete/k1").status_code == 403
    page = get(browser, "/view/k1")
    assert browser.post("/delete/k1", data={"form_token": page.fields()["form_token"]}).status_code == 303


# ---- Errors ----


def test_errors_are_pages_for_browsers_only(web: Web) -> None:
    browser = web.browser()
    page = get(browser, f"/{quote_key(NASTY)}", 404)
    assert NASTY in page.words
    assert browser.post("/").status_code == 405
    assert browser.get("/api/nothing").mimetype == "application/problem+json"
    assert browser.get("/nothing", headers={"Accept": "*/*"}).mimetype == "application/problem+json"
    web.images.fail = Unavailable("Storage does not answer.", retry_after_seconds=4)
    answer = browser.get("/?prefix=%3Cb%3E")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "4")
    assert "/?prefix=%3Cb%3E" in Page(answer).all("a", "href")
