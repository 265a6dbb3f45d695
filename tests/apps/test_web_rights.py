"""Who may call which route, in each mode of ANONYMOUS; other sites and other hosts."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from tests.apps.accounts_support import PASSWORD
from tests.apps.guard_support import endpoints_without_rule
from tests.apps.web_support import BROWSER, Web, open_web, picture
from werkzeug.test import TestResponse

from elastic_images.core.image_facts import Actor

MODES = ("none", "read", "write", "admin")
CALLS: dict[str, tuple[str, str, str]] = {
    "get image": ("GET", "/images/public", "image"),
    "head image": ("HEAD", "/images/public", "image"),
    "metadata": ("GET", "/api/images/public", "read"),
    "list": ("GET", "/api/images", "read"),
    "list_keys": ("POST", "/api/list_keys", "read"),
    "key": ("POST", "/api/key/public", "read"),
    "getNumNodes": ("POST", "/api/getNumNodes/", "read"),
    "getRate": ("POST", "/api/getRate?rate=hit", "read"),
    "gallery": ("GET", "/", "read"),
    "view": ("GET", "/view/public", "read"),
    "trash": ("GET", "/api/trash", "read"),
    "have": ("POST", "/api/images/have", "read"),
    "put": ("PUT", "/api/images/mine", "write"),
    "patch": ("PATCH", "/api/images/mine", "write"),
    "batch": ("POST", "/api/images/batch", "write"),
    "page visibility": ("POST", "/visibility/mine", "write"),
    "page rename": ("POST", "/rename/mine", "write"),
    "restore": ("POST", "/api/trash/restore", "write"),
    "trash page": ("GET", "/trash", "write"),
    "page restore": ("POST", "/trash/restore", "write"),
    "undo": ("POST", "/trash/undo", "write"),
    "link": ("POST", "/api/links", "link"),
    "page link": ("POST", "/sign/public", "link"),
    "upload link": ("POST", "/api/upload-links", "upload link"),
    "signing keys": ("GET", "/api/signing-keys", "key"),
    "new key": ("POST", "/api/signing-keys", "key"),
    "rotate key": ("POST", "/api/signing-keys/00000000/rotate", "key"),
    "revoke key": ("DELETE", "/api/signing-keys/00000000", "key"),
    "purge": ("POST", "/api/trash/purge", "admin"),
    "delete": ("DELETE", "/api/images/mine", "write"),
    "upload": ("POST", "/api/upload", "write"),
    "upload page": ("GET", "/upload", "write"),
    "page upload": ("POST", "/upload", "write"),
    "delete question": ("GET", "/delete/mine", "write"),
    "page delete": ("POST", "/delete/mine", "write"),
    "page replace": ("POST", "/replace/mine", "write"),
    "configure_cache": ("POST", "/api/configure_cache", "admin"),
    "delete_all": ("POST", "/api/delete_all/", "admin"),
    "account": ("GET", "/account", "account"),
    "new token": ("POST", "/account/tokens", "account"),
    "page key": ("POST", "/account/keys", "account"),
}
OWNERS_ONLY = {"delete", "delete question", "page delete", "page replace", "put", "page upload", "upload"}
OWNERS_ONLY |= {"patch", "page visibility", "page rename"}
OPEN = {"none": set(), "read": {"image"}, "write": {"image", "read", "write"}}
OPEN["admin"] = OPEN["write"] | {"admin", "key"}
NO_COURSE = ("/api/trash", "/api/images/", "/api/links", "/api/upload-links", "/api/signing-keys")
PUBLIC = (
    "/openapi.json",
    "/assets/any/ui/style.css",
    "/assets/any/web/web.css",
    "/healthz",
    "/readyz",
    "/metrics",
    "/login",
)


@pytest.fixture(scope="module", params=MODES)
def shared_web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with open_web(tmp_path_factory.mktemp("web"), anonymous=request.param) as web:
        yield web


@pytest.fixture
def web(shared_web: Web) -> Web:
    refill(shared_web)
    return shared_web


def refill(web: Web) -> None:
    """Store the two images that the calls are about, as an administrator's."""
    web.images.stored.clear()
    for key in ("public", "mine"):
        actor = Actor(None, "anonymous", admin=True)
        web.images.put(key, io.BytesIO(picture()), len(picture()), actor=actor)


def call(web: Web, name: str, headers: dict[str, str] | None = None) -> TestResponse:
    method, path, _ = CALLS[name]
    more: dict[str, Any] = {}
    if name in ("put", "page replace", "page upload", "upload"):
        more["data"] = picture() if name == "put" else {"key": "mine", "file": (io.BytesIO(picture()), "mine.png")}
    if name == "link":
        more["json"] = {"key": "public", "expires_in": 60}
    if name == "upload link":
        more["json"] = {"key": "mine", "expires_in": 60}
    if name == "page link":
        more["data"] = {"w": "333", "seconds": "3600"}
    if name == "new key":
        more["json"] = {"name": "backend", "user": "root"}
    if name in ("rotate key", "revoke key"):
        path = path.replace("00000000", web.accounts.signing_keys.own("root").kid)
    if name == "have":
        more["json"] = {"digests": ["0" * 64]}
    if name == "patch":
        more["json"] = {"visibility": "members"}
    if name == "batch":
        more["json"] = {"operations": [{"op": "delete", "key": "mine"}]}
    if name == "page visibility":
        more["data"] = {"visibility": "members"}
    if name == "page rename":
        more["data"] = {"key": "new"}
    if name == "restore":
        more["json"] = {"ids": [1]}
    if name in ("page restore", "undo"):
        more["data"] = {"id": "1", "key": "mine"}
    if name == "page upload":
        more["data"] = {"replace": "yes", **more["data"]}
    return web.client().open(path, method=method, headers=headers, **more)


def test_every_route_declares_a_rule(web: Web) -> None:
    assert endpoints_without_rule(web.app) == []


def test_every_route_is_tested_here(web: Web) -> None:
    adapter = web.app.url_map.bind("localhost")
    tested = {adapter.match(path.partition("?")[0], method)[0] for method, path, _ in CALLS.values()}
    public = {"healthz", "readyz", "metrics", "static", "ui.static", "openapi"}
    public |= {"login.form", "login.log_in", "login.log_out", "docs.docs"}
    tested_below = {"account.change_password", "account.revoke_token", "account.end_session"}
    tested_below |= {"account.rotate_key", "account.revoke_key"}
    assert tested | public | tested_below == set(web.app.view_functions)


@pytest.mark.parametrize("name", CALLS)
def test_without_credentials(web: Web, name: str) -> None:
    method, path, rule = CALLS[name]
    answer = call(web, name)
    if rule in OPEN[web.guard.mode]:
        assert answer.status_code < 400, answer.text
    elif path == "/":
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login?next=/")
    else:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        is_course = method == "POST" and path.startswith("/api/") and not path.startswith(NO_COURSE)
        assert is_course == (answer.mimetype == "application/json")
        assert (answer.get_json(force=True, silent=True) or {}).get("success", "false") == "false"


@pytest.mark.parametrize("name", CALLS)
def test_by_scope(web: Web, name: str) -> None:
    rule = CALLS[name][2]
    enough = {"image": 0, "read": 0, "link": 0, "write": 1, "upload link": 1, "admin": 2, "key": 2, "account": 3}
    for rank, scope in enumerate(("read", "write", "admin")):
        refill(web)
        answer = call(web, name, web.auth("root", scope))
        needed = "write" if rule == "upload link" else rule
        allowed = rank >= enough[rule] or needed in OPEN[web.guard.mode]
        if not allowed:
            assert answer.status_code == 403, (scope, answer.text)
        elif name in OWNERS_ONLY and scope != "admin":
            # Allowed to ask; whose image it is, is storage's question.
            assert answer.status_code != 401
        else:
            assert answer.status_code < 400, (scope, answer.text)
            return


def test_a_wrong_token_is_never_let_pass(web: Web) -> None:
    for name in ("list", "list_keys", "put", "delete_all"):
        assert call(web, name, {"Authorization": "Bearer ei_wrong"}).status_code == 401


def test_what_is_public(web: Web) -> None:
    for path in PUBLIC:
        with web.client().get(path) as answer:
            assert answer.status_code == 200, path


# ---- Other sites ----

FOREIGN: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
]


@pytest.mark.parametrize("name", [name for name, (method, _, _) in CALLS.items() if method not in ("GET", "HEAD")])
def test_another_site_changes_nothing(web: Web, name: str) -> None:
    before = dict(web.images.stored)
    session = {"Cookie": f"{web.guard.cookie_name}={web.accounts.log_in('root', PASSWORD).secret}"}
    for headers in FOREIGN:
        for credentials in ({}, session):
            answer = call(web, name, headers | credentials)
            assert answer.status_code == 403
            assert "site" in answer.text.lower()
    assert web.images.stored == before


@pytest.mark.parametrize("name", ["put", "upload", "delete", "link", "purge"])
def test_a_token_counts_wherever_the_request_comes_from(web: Web, name: str) -> None:
    """No browser adds a token to a request by itself."""
    for headers in FOREIGN:
        refill(web)
        assert call(web, name, headers | web.admin).status_code < 300, name
        assert call(web, name, headers | {"Authorization": "Bearer ei_wrong"}).status_code == 401


def test_another_site_cannot_log_anybody_in_or_out(web: Web) -> None:
    for path in ("/login", "/logout"):
        answer = web.client().post(path, data={"name": "ann", "password": PASSWORD}, headers=FOREIGN[0])
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers


# ---- Other hosts ----


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example"])
def test_another_host_is_refused(web: Web, host: str) -> None:
    for method, path, rule in CALLS.values():
        answer = web.client().open(path, method=method, headers=web.admin | {"Host": host})
        assert answer.status_code == 400, (method, path, rule)
        assert picture() not in answer.data
    page = web.client().get("/", headers=BROWSER | {"Host": host})
    assert (page.status_code, page.mimetype) == (400, "text/html")


def test_our_own_names_are_taken(web: Web) -> None:
    for host in ("localhost", "127.0.0.1:5000", "[::1]:80"):
        assert web.client().get("/api/images", headers=web.admin | {"Host": host}).status_code == 200
