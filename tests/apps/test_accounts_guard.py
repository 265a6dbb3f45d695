"""The guard before every route: a small app with one route for each rule."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from testing.settings import make_settings
from tests.apps.accounts_support import PASSWORD, accounts_of
from tests.apps.guard_support import endpoints_without_rule
from werkzeug.test import EnvironBuilder, TestResponse

from elastic_images.accounts.access import Anonymous, Rule
from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.guard import Guard, current_principal, rule
from elastic_images.accounts.principal import Principal
from elastic_images.core.errors import Unauthenticated
from elastic_images.http.base_app import base_app

RULES: tuple[Rule, ...] = get_args(Rule)
MODES: tuple[Anonymous, ...] = get_args(Anonymous)
BROWSER = {"Accept": "text/html,application/xhtml+xml"}
OURS = {"Origin": "http://localhost"}


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    with accounts_of(tmp_path_factory.mktemp("guard"), ann="user", root="admin") as accounts:
        yield accounts


def make_app(accounts: Accounts, data: Path, **settings: Any) -> Flask:
    app = base_app("guarded")
    guard = Guard(accounts, make_settings(data=data, **settings))
    guard.install(app)
    app.extensions["guard"] = guard
    for name in RULES:
        view = rule(name)(lambda: current_principal().name)
        app.add_url_rule(f"/{name}", name, view, methods=["GET", "POST"])
        app.add_url_rule(f"/api/{name}", f"api-{name}", view, methods=["GET", "POST", "PUT", "DELETE"])
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")

    @app.post("/log-in")
    @rule("login")
    def log_in() -> Response:
        response = Response("welcome")
        guard.log_in(response, request.form["name"], request.form["password"])
        return response

    @app.post("/log-out")
    @rule("login")
    def log_out() -> Response:
        response = Response("bye")
        guard.log_out(response)
        return response

    @app.get("/token-of-form")
    @rule("account")
    def token_of_form() -> str:
        return guard.form_token()

    return app


def log_in(client: FlaskClient, name: str) -> TestResponse:
    answer = client.post("/log-in", data={"name": name, "password": PASSWORD}, headers=OURS)
    assert answer.status_code == 200
    return answer


def bearer(accounts: Accounts, name: str, scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {accounts.tokens.create(name, 'test', [scope])[1]}"}


IN_NONE = {
    "anonymous": set(),
    "ann": {"image", "read", "write", "account"},
    "root": {"image", "read", "write", "admin", "account"},
    "ann's read token": {"image", "read"},
    "root's admin token": {"image", "read", "write", "admin"},
    "root's write token": {"image", "read", "write"},
}
FOR_ANYBODY = {
    "none": {"public", "login"},
    "read": {"public", "login", "image"},
    "write": {"public", "login", "image", "read", "write"},
    "admin": {"public", "login", "image", "read", "write", "admin"},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("who", IN_NONE)
def test_every_rule_in_every_mode(accounts: Accounts, tmp_path: Path, mode: Anonymous, who: str) -> None:
    client = make_app(accounts, tmp_path, anonymous=mode).test_client()
    headers = dict(OURS)
    name, _, scope = who.partition("'s ")
    if scope:
        headers |= bearer(accounts, name, scope.removesuffix(" token"))
    elif who != "anonymous":
        log_in(client, who)
    allowed = IN_NONE[who] | FOR_ANYBODY[mode]
    refusal = 401 if who == "anonymous" else 403
    for name in RULES:
        assert client.get(f"/api/{name}", headers=headers).status_code == (200 if name in allowed else refusal), name
        if name != "image":
            assert client.post(f"/api/{name}", headers=headers).status_code == (200 if name in allowed else refusal), (
                name
            )


def test_a_route_without_a_rule_answers_500(accounts: Accounts, tmp_path: Path) -> None:
    app = make_app(accounts, tmp_path, anonymous="admin")
    assert endpoints_without_rule(app) == ["forgotten"]
    assert app.test_client().get("/forgotten").status_code == 500


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_is_open_whatever_the_host(accounts: Accounts, tmp_path: Path, path: str) -> None:
    client = make_app(accounts, tmp_path, anonymous="none").test_client()
    assert client.get(path, headers={"Host": "10.9.8.7:5000"}).status_code == 200


def test_programs_get_a_problem_document(accounts: Accounts, tmp_path: Path) -> None:
    client = make_app(accounts, tmp_path).test_client()
    for path, headers in (("/api/read", BROWSER), ("/read", {}), ("/read", {"Accept": "image/*"})):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.content_type == "application/problem+json"


def test_who_looks_at_the_first_page_is_sent_to_the_login(accounts: Accounts, tmp_path: Path) -> None:
    app = make_app(accounts, tmp_path)
    app.add_url_rule("/", "first", rule("read")(lambda: "the first page"))
    client = app.test_client()
    for headers in ({}, {"Accept": "*/*"}, BROWSER):
        answer = client.get("/", headers=headers)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login?next=/")
    for headers in ({"Accept": "application/json"}, {"Authorization": "Bearer ei_wrong"}):
        assert client.get("/", headers=headers).status_code == 401
    assert client.get("/read", headers={"Accept": "*/*"}).status_code == 401


def test_people_are_sent_to_the_login_and_back(accounts: Accounts, tmp_path: Path) -> None:
    client = make_app(accounts, tmp_path).test_client()
    answer = client.get("/read?prefix=a%20b&x=%2F%2F", headers=BROWSER)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/login?next=/read%3Fprefix%3Da%2520b%26x%3D%252F%252F"
    assert client.post("/write", headers=BROWSER | OURS).headers["Location"] == "/login"


@pytest.mark.parametrize("mode", MODES)
def test_a_bad_token_is_401_in_every_mode(accounts: Accounts, tmp_path: Path, mode: Anonymous) -> None:
    client = make_app(accounts, tmp_path, anonymous=mode).test_client()
    assert client.get("/api/read", headers={"Authorization": "Bearer ei_wrong"}).status_code == 401
    assert client.get("/api/login", headers={"Authorization": "Bearer ei_wrong"}).status_code == 200


def test_other_kinds_of_authorization_are_somebody_elses(accounts: Accounts, tmp_path: Path) -> None:
    client = make_app(accounts, tmp_path, anonymous="write").test_client()
    assert client.get("/api/read", headers={"Authorization": "Basic YTpi"}).data == b"anonymous"


def test_the_cookie_of_a_session(accounts: Accounts, tmp_path: Path) -> None:
    client = make_app(accounts, tmp_path).test_client()
    cookie, known = log_in(client, "ann").headers.getlist("Set-Cookie")
    name, _, rest = cookie.partition("=")
    assert name.startswith("elastic_images_")
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=3600"} <= set(rest.split("; "))
    assert "Secure" not in rest
    assert {"HttpOnly", "SameSite=Strict", "Path=/login", "Max-Age=31536000"} <= set(known.split("; "))
    assert client.get("/api/account").data == b"ann"


def test_over_https_the_cookie_is_secure(accounts: Accounts, tmp_path: Path) -> None:
    client = make_app(accounts, tmp_path, trusted_proxies=("127.0.0.1",)).test_client()
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost", "Origin": "https://localhost"}
    answer = client.post("/log-in", data={"name": "ann", "password": PASSWORD}, headers=forwarded)
    assert all("; Secure" in cookie for cookie in answer.headers.getlist("Set-Cookie"))


def test_two_installations_on_one_machine_do_not_log_each_other_out(accounts: Accounts, tmp_path: Path) -> None:
    one = make_app(accounts, tmp_path).extensions["guard"]
    same = make_app(accounts, tmp_path).extensions["guard"]
    other = make_app(accounts, tmp_path, secret_key="another key").extensions["guard"]
    assert one.cookie_name == same.cookie_name != other.cookie_name
    assert "test-secret-key" not in one.cookie_name


def test_logging_in_again_ends_the_session_of_before(accounts: Accounts, tmp_path: Path) -> None:
    app = make_app(accounts, tmp_path)
    client = app.test_client()
    log_in(client, "ann")
    name = app.extensions["guard"].cookie_name
    before = client.get_cookie(name)
    log_in(client, "ann")
    after = client.get_cookie(name)
    assert before is not None
    assert after is not None
    assert before.value != after.value
    assert accounts.of_session(before.value) is None
    assert accounts.of_session(after.value) is not None


def test_logging_out_ends_the_session_not_only_the_cookie(accounts: Accounts, tmp_path: Path) -> None:
    app = make_app(accounts, tmp_path)
    client = app.test_client()
    log_in(client, "ann")
    cookie = client.get_cookie(app.extensions["guard"].cookie_name)
    assert cookie is not None
    assert client.post("/log-out", headers=OURS).status_code == 200
    assert client.get_cookie(cookie.key) is None
    assert accounts.of_session(cookie.value) is None
    client.set_cookie(cookie.key, cookie.value)
    assert client.get("/api/account").status_code == 401


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:5003"},
    ],
    ids=str,
)
def test_other_sites_change_nothing_in_any_mode(
    accounts: Accounts, tmp_path: Path, mode: Anonymous, headers: dict[str, str]
) -> None:
    client = make_app(accounts, tmp_path, anonymous=mode).test_client()
    session = {
        "Cookie": f"{client.application.extensions['guard'].cookie_name}={accounts.log_in('root', PASSWORD).secret}"
    }
    token = bearer(accounts, "root", "admin")
    for sent, name in [
        *itertools.product([headers, headers | session], ["public", "login", "write", "admin"]),
        *itertools.product([headers | token], ["public", "login"]),  # whose views need no token
    ]:
        answer = client.post(f"/api/{name}", headers=sent)
        assert answer.status_code == 403
        assert answer.json["type"].endswith("/cross-site")  # type: ignore[index]
    for name in ("write", "admin"):
        assert client.post(f"/api/{name}", headers=headers | token | session).status_code == 200
        wrong = {"Authorization": "Bearer ei_wrong"}
        assert client.post(f"/api/{name}", headers=headers | wrong | session).status_code == 401
    assert client.get("/api/public", headers=headers).status_code == 200


def test_programs_without_a_session_need_no_origin(accounts: Accounts, tmp_path: Path) -> None:
    client = make_app(accounts, tmp_path, anonymous="write").test_client()
    assert client.post("/api/write").status_code == 200
    assert client.post("/api/write", headers=bearer(accounts, "ann", "write")).status_code == 200


def test_a_cookie_alone_changes_nothing(accounts: Accounts, tmp_path: Path) -> None:
    client = make_app(accounts, tmp_path).test_client()
    log_in(client, "ann")
    token = client.get("/token-of-form").text
    assert len(token) >= 43
    assert client.post("/write").status_code == 403
    assert client.post("/write", data={"form_token": "wrong"}).status_code == 403
    assert client.post("/write", data={"form_token": "\u20ac"}).status_code == 403
    assert client.post("/write", data={"form_token": token}).status_code == 200
    assert client.post("/write", headers={"X-Form-Token": token}).status_code == 200
    assert client.post("/write", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "localhost.evil.example", "[::1"])
@pytest.mark.parametrize("mode", MODES)
def test_a_foreign_host_is_refused_in_every_mode(
    accounts: Accounts, tmp_path: Path, mode: Anonymous, host: str
) -> None:
    app = make_app(accounts, tmp_path, anonymous=mode)
    client = app.test_client()
    for path in ("/api/public", "/image", "/login", "/no-such-page"):
        assert client.get(path, headers={"Host": host}).status_code == 400
    guard: Guard = app.extensions["guard"]
    assert not guard.host_allowed({"HTTP_HOST": host})
    assert guard.host_allowed({"HTTP_HOST": "localhost:5000"})


def test_hosts_seen_are_remembered_within_bounds(accounts: Accounts, tmp_path: Path) -> None:
    guard: Guard = make_app(accounts, tmp_path).extensions["guard"]
    for number in range(2000):
        assert not guard.host_allowed({"HTTP_HOST": f"{number}.evil.example"})
    assert len(guard._known_hosts) <= 256


def test_the_data_plane_learns_who_asks(accounts: Accounts, tmp_path: Path) -> None:
    app = make_app(accounts, tmp_path, anonymous="none")
    guard: Guard = app.extensions["guard"]
    client = app.test_client()
    log_in(client, "ann")
    cookie = client.get_cookie(guard.cookie_name)
    assert cookie is not None

    def principal(**headers: str) -> Principal:
        return guard._identify(EnvironBuilder(headers=list(headers.items())).get_environ())[0]

    assert not guard.images_are_open
    assert principal().is_anonymous
    assert principal(Cookie=f"a=b; {cookie.key}={cookie.value}").name == "ann"
    assert principal(Cookie=f"{cookie.key}=wrong").is_anonymous
    # Cookies ignore ports: others on this host may set any bytes.
    assert principal(Cookie="\xe9=\xff").is_anonymous
    assert principal(Cookie=f"\xe9=\xff; {cookie.key}={cookie.value}").name == "ann"
    assert principal(**bearer(accounts, "root", "read")).scopes == {"read"}
    with pytest.raises(Unauthenticated):
        principal(Authorization="bearer wrong")


def test_many_callers_are_found_at_once(accounts: Accounts, tmp_path: Path) -> None:
    app = make_app(accounts, tmp_path, anonymous="write")
    guard: Guard = app.extensions["guard"]
    client = app.test_client()
    log_in(client, "ann")
    cookie = client.get_cookie(guard.cookie_name)
    assert cookie is not None
    revoked, secret = accounts.tokens.create("root", "test", ["read"])
    accounts.tokens.revoke(revoked.id)
    sent: list[dict[str, str]] = [
        {"Cookie": f"a=b; {cookie.key}={cookie.value}"},
        bearer(accounts, "root", "read"),
        {"Cookie": f"{cookie.key}={cookie.value}", **bearer(accounts, "root", "admin")},
        {"Cookie": f"{cookie.key}=wrong"},
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic YTpi"},
        {},
    ]
    environs = [EnvironBuilder(headers=list(headers.items())).get_environ() for headers in sent]
    found = guard.principals_of(environs)
    assert [principal and (principal.name, principal.via) for principal in found] == [
        ("ann", "session"), ("root", "token"), ("root", "token"), None, None, None, None, None,
    ]  # fmt: skip
    assert found[:3] == [guard.principal_of(environ) for environ in environs[:3]]
    assert guard.principals_of(environs[:1] * 1200) == found[:1] * 1200
    guard.accounts.sessions.end(cookie.value)
    assert guard.principals_of(environs)[0] is None


def test_what_is_behind_a_login_is_not_kept_by_browsers(accounts: Accounts, tmp_path: Path) -> None:
    client = make_app(accounts, tmp_path).test_client()
    log_in(client, "ann")
    assert client.get("/read").headers["Cache-Control"] == "no-store"
    assert "Cache-Control" not in client.get("/image").headers
    assert client.get("/read").headers["Referrer-Policy"] == "same-origin"


def test_a_guard_needs_the_installations_key(accounts: Accounts, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="secret key"):
        Guard(accounts, make_settings(data=tmp_path, secret_key=""))
