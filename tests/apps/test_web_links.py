"""Links that open an image, the keys that sign them, and answers to pages of other sites."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from tests.apps.web_support import Web, open_web, picture

from elastic_images.accounts.signing_keys import MAX_KEYS, OWN_NAME
from elastic_images.core.image_facts import Actor
from elastic_images.core.signed_links import MAX_LINK_SECONDS, check_signature, parse_signature

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
