"""Links that open an image, the keys that sign them, and answers to pages of other sites."""

from __future__ import annotations

import html
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from testing.waiting import wait_for
from tests.apps.web_support import Web, open_web, picture

from elastic_images.accounts.signing_keys import MAX_KEYS, OWN_NAME
from elastic_images.core.image_facts import Actor
from elastic_images.core.signed_links import MAX_LINK_SECONDS, check_signature, parse_signature
from elastic_images.core.upload_links import upload_query

ELSEWHERE = "https://app.example.com"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web"), cors_origins=(ELSEWHERE, "http://127.0.0.1:8000")) as web:
        for key in ("cat.jpg", "50% off/ä?#.png"):
            web.images.put(key, io.BytesIO(picture()), len(picture()), actor=Actor(None, "anonymous", admin=True))
        yield web


def make(web: Web, headers: dict[str, str] | None = None, **body: Any) -> Any:
    given = {"key": "cat.jpg", "expires_in": 60} | body
    return web.client().post("/api/links", json=given, headers=headers or web.auth("ann", "read"))


# ---- links


@pytest.mark.parametrize(
    ("key", "params", "query"),
    [
        ("cat.jpg", {}, "exp="),
        ("cat.jpg", {"w": 401, "format": "webp"}, "format=webp&kid="),
        ("cat.jpg", {"w": "400", "dpr": 1.5, "ar": "16:9"}, "ar=16%3A9&dpr=1.5&exp="),
        ("50% off/ä?#.png", {"preset": "thumb"}, "preset=thumb"),
    ],
)
def test_a_link_is_one_that_the_accounts_key_signed(web: Web, key: str, params: dict[str, Any], query: str) -> None:
    before = time.time()
    answer = make(web, key=key, params=params, expires_in=60)
    assert answer.status_code == 200, answer.text
    made = answer.get_json()
    assert before + 60 <= made["expires_at"] <= time.time() + 61
    parts = urlsplit(made["url"])
    assert (parts.scheme, parts.netloc) == ("http", "localhost")
    assert unquote(parts.path) == f"/images/{key}"
    assert query in parts.query
    signature = parse_signature(parts.query)
    assert signature is not None
    assert signature.expires_at == made["expires_at"]
    account = web.accounts.signing_keys.find(signature.kid)
    assert account is not None
    assert account.principal.name == "ann"
    check_signature(account.secret, signature, key, before)


def test_all_links_of_an_account_are_signed_with_one_key(web: Web) -> None:
    kids = {parse_signature(urlsplit(make(web).get_json()["url"]).query) for _ in range(3)}
    assert len({signature.kid for signature in kids if signature}) == 1
    (key,) = [key for key in web.accounts.signing_keys.list("ann") if key.name == OWN_NAME and not key.revoked_at]
    web.accounts.signing_keys.revoke(key.kid)
    assert f"kid={key.kid}" not in make(web).get_json()["url"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"key": None}, "key is missing"),
        ({"key": "a//b"}, "segment"),
        ({"key": 5}, "string"),
        ({"expires_in": None}, "expires_in is missing"),
        ({"expires_in": 0}, "from 1"),
        ({"expires_in": -5}, "from 1"),
        ({"expires_in": MAX_LINK_SECONDS + 1}, "a year"),
        ({"expires_in": "7d"}, "number"),
        ({"expires_in": True}, "number"),
        ({"params": []}, "object"),
        ({"params": {"w": 0}}, "w is a whole number"),
        ({"params": {"w": 400.5}}, "w is a whole number"),
        ({"params": {"w": None}}, "w must be"),
        ({"params": {"w": True}}, "w must be"),
        ({"params": {"w": 10**400}}, "w must be"),
        ({"params": {"v": "\ud800"}}, "v must be"),
        ({"params": {"width": 400}}, "no 'width'"),
        ({"params": {"sig": "x"}}, "no 'sig'"),
        ({"params": {"exp": 1}}, "no 'exp'"),
        ({"params": {"preset": "thumb", "w": 5}}, "leave out w"),
        ({"for": 5}, "Unknown name"),
    ],
)
def test_what_makes_no_link_is_told(web: Web, body: dict[str, Any], words: str) -> None:
    answer = make(web, **body)
    assert answer.status_code == 400, answer.text
    assert words in answer.get_json()["detail"]


def test_who_has_no_account_or_may_not_read_makes_no_link(web: Web, tmp_path: Path) -> None:
    assert make(web, key="unknown").status_code == 404
    assert web.client().post("/api/links", json={"key": "cat.jpg", "expires_in": 5}).status_code == 401
    with open_web(tmp_path, anonymous="admin") as open_to_all:
        answer = open_to_all.client().post("/api/links", json={"key": "x", "expires_in": 5})
        assert answer.status_code == 404  # as everybody may read
        answer = open_to_all.client().post("/api/signing-keys", json={"name": "x"})
        assert (answer.status_code, "Name the key's owner" in answer.text) == (400, True)


def test_the_image_page_makes_a_link_with_a_time_for_any_size(web: Web) -> None:
    browser = web.browser("ann")
    assert 'action="/sign/cat.jpg#sign"' in browser.get("/view/cat.jpg").text
    page = browser.post("/sign/cat.jpg", data={"w": "333", "format": "webp", "seconds": "86400"})
    assert page.status_code == 200, page.text
    (url,) = re.findall(r'id="signed-link" class="mono" value="([^"]*)"', page.text)
    parts = urlsplit(html.unescape(url))
    signature = parse_signature(parts.query)
    assert signature is not None
    assert "format=webp" in parts.query
    assert "w=333" in parts.query
    assert 86_300 < signature.expires_at - time.time() < 86_402
    for wrong in ({"seconds": "86400", "w": "0"}, {"seconds": "5"}, {}, {"seconds": "86400", "format": "bmp"}):
        refused = browser.post("/sign/cat.jpg", data=wrong)
        assert (refused.status_code, "signed-link" in refused.text) == (400, False)
    assert browser.post("/sign/unknown", data={"seconds": "86400"}).status_code == 404


# ---- signing keys


def test_a_key_is_created_listed_rotated_and_revoked(web: Web) -> None:
    browser = web.browser("bob")
    made = browser.post("/api/signing-keys", json={"name": "backend"})
    assert made.status_code == 201, made.text
    key = made.get_json()
    secret = key.pop("secret")
    assert (key["user"], key["name"], key["last_used_at"], key["revoked_at"]) == ("bob", "backend", None, None)
    assert browser.get("/api/signing-keys").get_json() == {"keys": [key]}
    rotated = browser.post(f"/api/signing-keys/{key['id']}/rotate")
    assert rotated.status_code == 201, rotated.text
    new = rotated.get_json()
    assert new.pop("secret") != secret
    assert (new["name"], new["id"] != key["id"]) == ("backend", True)
    assert browser.post(f"/api/signing-keys/{key['id']}/rotate").status_code == 404
    assert web.accounts.signing_keys.find(key["id"]) is None
    assert browser.delete(f"/api/signing-keys/{new['id']}").status_code == 204
    assert web.accounts.signing_keys.find(new["id"]) is None
    listed = browser.get("/api/signing-keys").get_json()["keys"]
    assert {one["id"] for one in listed} == {key["id"], new["id"]}
    assert all(one["revoked_at"] for one in listed)
    assert secret not in browser.get("/api/signing-keys").text


def test_keys_are_their_owners_business_and_the_administrators(web: Web) -> None:
    kid = web.accounts.signing_keys.create("bob", "his")[0].kid
    web.accounts.signing_keys.own("ann")
    ann = web.browser("ann")
    assert ann.get("/api/signing-keys?user=bob").status_code == 403
    assert ann.post("/api/signing-keys", json={"name": "x", "user": "bob"}).status_code == 403
    assert ann.post(f"/api/signing-keys/{kid}/rotate").status_code == 404
    assert ann.delete(f"/api/signing-keys/{kid}").status_code == 404
    assert kid not in ann.get("/api/signing-keys").text
    for headers in (web.auth("bob", "write"), web.auth("root", "write")):
        for method, path in (("GET", ""), ("POST", ""), ("POST", f"/{kid}/rotate"), ("DELETE", f"/{kid}")):
            answer = web.client().open(f"/api/signing-keys{path}", method=method, headers=headers, json={"name": "x"})
            assert (answer.status_code, "scope 'admin'" in answer.text) == (403, True)
    admin = web.admin
    everybodys = web.client().get("/api/signing-keys", headers=admin).get_json()["keys"]
    assert {"ann", "bob"} <= {key["user"] for key in everybodys}
    bobs = web.client().get("/api/signing-keys?user=bob", headers=admin).get_json()["keys"]
    assert {key["user"] for key in bobs} == {"bob"}
    made = web.client().post("/api/signing-keys", json={"name": "for bob", "user": "BOB"}, headers=admin)
    assert (made.status_code, made.get_json()["user"]) == (201, "bob")
    unknown = web.client().post("/api/signing-keys", json={"name": "x", "user": "nobody"}, headers=admin)
    assert unknown.status_code == 404
    assert web.client().delete(f"/api/signing-keys/{kid}", headers=admin).status_code == 204
    assert web.client().delete("/api/signing-keys/%00", headers=admin).status_code == 404


def test_a_key_is_made_on_the_account_page_and_shown_once(web: Web) -> None:
    browser = web.browser("bob")
    assert browser.post("/account/keys", data={"name": "page"}).headers["Location"] == "/account#new-key"
    (key,) = [one for one in web.accounts.signing_keys.list("bob") if one.name == "page"]
    account = web.accounts.signing_keys.find(key.kid)
    assert account is not None
    assert account.secret in browser.get("/account").text
    assert account.secret not in browser.get("/account").text
    assert browser.post(f"/account/keys/{key.kid}/rotate").status_code == 303
    assert web.accounts.signing_keys.find(key.kid) is None
    assert "Copy its secret now" in browser.get("/account").text
    (new,) = [one for one in web.accounts.signing_keys.list("bob") if one.name == "page" and not one.revoked_at]
    assert web.browser("ann").post(f"/account/keys/{new.kid}/revoke").status_code == 404
    assert browser.post(f"/account/keys/{new.kid}/revoke").status_code == 303
    assert web.accounts.signing_keys.find(new.kid) is None
    assert browser.post("/account/keys", data={"name": " "}).status_code == 400


def test_the_number_of_keys_is_bounded(web: Web) -> None:
    browser = web.browser("root")
    while len(web.accounts.signing_keys.list("root")) < MAX_KEYS:
        web.accounts.signing_keys.create("root", "x")
    answer = browser.post("/api/signing-keys", json={"name": "x"})
    assert (answer.status_code, answer.get_json()["type"].rpartition("/")[2]) == (409, "conflict")
    assert browser.post("/api/signing-keys", json={"name": "a\nb"}).status_code == 400


# ---- pages of other sites

PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,content-type"}


def allowed_origin(answer: Any) -> str | None:
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.vary
    found: str | None = answer.headers.get("Access-Control-Allow-Origin")
    return found


def test_listed_origins_may_call_the_api_with_a_token(web: Web) -> None:
    for origin in (ELSEWHERE, "http://127.0.0.1:8000"):
        answer = web.client().options("/api/images/new.png", headers=PREFLIGHT | {"Origin": origin})
        assert (answer.status_code, answer.data) == (204, b"")
        assert allowed_origin(answer) == origin
        assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert answer.headers["Access-Control-Max-Age"] == "7200"
        cross = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        stored = web.client().put("/api/images/new.png", data=picture(), headers=cross | web.auth())
        assert stored.status_code in (200, 201)
        assert allowed_origin(stored) == origin
        assert "ETag" in stored.headers["Access-Control-Expose-Headers"]
    refused = web.client().get("/api/images", headers={"Origin": ELSEWHERE})
    assert (refused.status_code, allowed_origin(refused)) == (401, ELSEWHERE)
    assert allowed_origin(web.client().get("/api/nothing", headers={"Origin": ELSEWHERE})) == ELSEWHERE


def test_a_listed_origin_has_no_more_from_cookies_than_others(web: Web) -> None:
    browser = web.browser()
    cross = {"Origin": ELSEWHERE, "Sec-Fetch-Site": "cross-site"}
    assert browser.put("/api/images/new.png", data=picture(), headers=cross).status_code == 403
    assert browser.post("/api/signing-keys", json={"name": "x"}, headers=cross).status_code == 403


@pytest.mark.parametrize("origin", ["https://other.example.com", "http://app.example.com", f"{ELSEWHERE}:8443", "null"])
def test_other_origins_are_not_named(web: Web, origin: str) -> None:
    preflight = web.client().options("/api/images/new.png", headers=PREFLIGHT | {"Origin": origin})
    assert (preflight.status_code, allowed_origin(preflight)) == (401, None)
    assert allowed_origin(web.client().get("/api/images", headers={"Origin": origin} | web.auth())) is None
    page = web.client().get("/login", headers={"Origin": ELSEWHERE})
    assert "Access-Control-Allow-Origin" not in page.headers


def test_a_star_means_all_without_cookies(tmp_path: Path) -> None:
    with open_web(tmp_path, cors_origins=("*",)) as web:
        for origin in (ELSEWHERE, "null"):
            assert allowed_origin(web.client().options("/api/images", headers=PREFLIGHT | {"Origin": origin})) == "*"
            assert allowed_origin(web.client().get("/api/images", headers={"Origin": origin} | web.auth())) == "*"


# ---- upload links


def upload_link(web: Web, headers: dict[str, str] | None = None, **body: Any) -> Any:
    given = {"expires_in": 60} | (body if "prefix" in body else {"key": "new/cat.png"} | body)
    answer = web.client().post("/api/upload-links", json=given, headers=headers or web.auth("ann", "write"))
    return answer.get_json()["url"] if answer.status_code == 200 else answer


def use(web: Web, url: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
    parts = urlsplit(url)
    sent = {"Origin": "https://anywhere.example", "Sec-Fetch-Site": "cross-site"} | (headers or {})
    return web.client().put(f"{parts.path}?{parts.query}", data=data or picture(), headers=sent)


def kind(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["type"].rpartition("/")[2]


def test_an_upload_link_stores_one_image_of_its_makers_once(web: Web) -> None:
    url = upload_link(web, key="once.png", visibility="private")
    answer = use(web, url, headers={"Cookie": "x=y", "Authorization": "Bearer ei_wrong"})
    assert answer.status_code == 201, answer.text
    assert (answer.get_json()["owner"], answer.get_json()["visibility"]) == ("ann", "private")
    assert allowed_origin(answer) == "*"
    again = use(web, url, picture(7))
    assert (kind(again), allowed_origin(again)) == ((409, "link-used"), "*")
    replaced = use(web, upload_link(web, key="once.png"), picture(7), {"X-Visibility": "public"})
    assert (replaced.status_code, replaced.get_json()["visibility"]) == (200, "private")


def test_a_preflight_of_an_upload_link_is_answered_for_every_origin(web: Web) -> None:
    parts = urlsplit(upload_link(web))
    for origin in ("https://anywhere.example", "null"):
        asked = PREFLIGHT | {"Origin": origin}
        answer = web.client().options(f"{parts.path}?{parts.query}", headers=asked)
        assert (answer.status_code, allowed_origin(answer)) == (204, "*")
        assert allowed_origin(web.client().options(parts.path, headers=asked)) is None
        other = asked | {"Access-Control-Request-Method": "DELETE"}
        assert allowed_origin(web.client().options(f"{parts.path}?{parts.query}", headers=other)) is None


def test_what_an_upload_link_does_not_allow_is_refused_and_uses_nothing_up(web: Web) -> None:
    url = upload_link(web, key="limits.png", max_bytes=200)
    assert len(picture()) < 200
    assert kind(use(web, url, picture() + b"x" * 200)) == (413, "too-large")
    assert kind(use(web, url.replace("limits.png", "other.png"))) == (403, "signature-invalid")
    assert kind(use(web, url.replace("max_bytes=200", "max_bytes=900"))) == (403, "signature-invalid")
    assert kind(use(web, url + "&visibility=public")) == (403, "signature-invalid")
    assert kind(use(web, url + "&max_bytes=200")) == (400, "invalid-request")
    assert kind(use(web, url.partition("&sig")[0] + "&sig=")) == (403, "signature-invalid")
    assert kind(use(web, url, b"no image at all")) == (415, "not-an-image")
    reading = make(web).get_json()["url"].replace("/images/", "/api/images/")
    assert kind(use(web, reading)) == (403, "signature-invalid")
    parts = urlsplit(url)
    for method in ("DELETE", "POST", "GET"):
        assert web.client().open(f"{parts.path}?{parts.query}", method=method).status_code in (401, 405)
    facts = '{"owner": "bob", "created_at": 1, "updated_at": 1, "version": 9}'
    forged = use(web, url, headers={"X-Keep-Facts": facts})
    assert forged.status_code == 403
    assert use(web, url).status_code == 201


def test_a_link_for_a_prefix_stores_one_new_image_below_it(web: Web) -> None:
    url = upload_link(web, prefix="50% off/inbox ")
    assert "/api/images/50%25%20off/inbox%20{name}?" in url
    assert kind(use(web, url.replace("inbox%20{name}", "other"))) == (403, "signature-invalid")
    web.images.put(
        "50% off/inbox taken", io.BytesIO(picture()), len(picture()), actor=Actor(None, "anonymous", admin=True)
    )
    assert kind(use(web, url.replace("{name}", "taken"))) == (412, "precondition-failed")
    stored = use(web, url.replace("{name}", "a%2Fb.png"))
    assert (stored.status_code, stored.get_json()["key"]) == (201, "50% off/inbox a/b.png")
    assert kind(use(web, url.replace("{name}", "c.png"))) == (409, "link-used")


def test_an_upload_link_ends_with_its_time_its_key_and_its_makers_account(web: Web) -> None:
    url = upload_link(web, expires_in=1)
    expires_at = int(url.partition("exp=")[2].partition("&")[0])
    wait_for(lambda: time.time() >= expires_at)
    assert kind(use(web, url)) == (403, "signature-expired")
    url = upload_link(web)
    web.accounts.signing_keys.revoke(url.partition("kid=")[2][:8])
    assert kind(use(web, url)) == (403, "signature-invalid")
    web.accounts.users.add("eve", "correct horse battery", "user")
    url = upload_link(web, web.auth("eve", "write"))
    web.accounts.users.change("eve", disabled=True)
    assert kind(use(web, url)) == (403, "signature-invalid")


def test_an_upload_link_of_an_administrator_replaces_no_image_of_others(web: Web) -> None:
    assert use(web, upload_link(web, key="anns.png")).status_code == 201
    assert kind(use(web, upload_link(web, web.admin, key="anns.png"))) == (403, "forbidden")
    assert kind(use(web, upload_link(web, web.auth("bob"), key="anns.png"))) == (403, "forbidden")


def test_a_key_that_people_know_signs_no_uploads(web: Web) -> None:
    key, secret = web.accounts.signing_keys.create("ann", "mine")
    query = upload_query(
        secret,
        key.kid,
        "forged.png",
        is_prefix=False,
        nonce="0" * 32,
        max_bytes=10_000,
        visibility=None,
        expires_at=int(time.time()) + 60,
    )
    assert kind(use(web, f"/api/images/forged.png?{query}")) == (403, "signature-invalid")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"key": None}, "either key or prefix"),
        ({"key": "a", "prefix": "b"}, "either key or prefix"),
        ({"prefix": ""}, "prefix is empty"),
        ({"prefix": "a//"}, "segment"),
        ({"prefix": "\ud800"}, "control"),
        ({"key": "a\u202eb"}, "direction"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"max_bytes": 1.5}, "max_bytes"),
        ({"visibility": "hidden"}, "visibility"),
        ({"expires_in": MAX_LINK_SECONDS * 2}, "a year"),
        ({"once": True}, "Unknown name"),
    ],
)
def test_what_makes_no_upload_link_is_told(web: Web, body: dict[str, Any], words: str) -> None:
    answer = upload_link(web, **body)
    assert (answer.status_code, words in answer.get_json()["detail"]) == (400, True), answer.text


def test_who_may_not_upload_makes_no_upload_link(web: Web) -> None:
    assert upload_link(web, web.auth("ann", "read")).status_code == 403
    assert upload_link(web, {"X-Nothing": "1"}).status_code == 401
