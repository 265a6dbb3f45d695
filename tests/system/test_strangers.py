"""Requests that another site makes in somebody's browser, and requests for another host."""

from __future__ import annotations

import pytest
from testing.photographs import Photograph
from testing.system import System
from tests.system.conftest import StartSystem

CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}
FOREIGN = {"Origin": "https://evil.example"}
CHANGES = [
    ("PUT", "/api/images/kept"),
    ("DELETE", "/api/images/kept"),
    ("POST", "/api/delete_all"),
    ("POST", "/api/delete_all/"),
    ("POST", "/api/configure_cache?numNodes=8"),
    ("POST", "/api/upload"),
]


def check_refused(system: System, photograph: Photograph, token: str | None) -> None:
    client = system.client(token)
    assert system.admin().put("kept", photograph.body).status in (200, 201)
    for headers in (CROSS_SITE, FOREIGN, {"Origin": "null"}, {"Origin": "http://localhost:1"}):
        for method, path in CHANGES:
            answer = client.request(method, path, headers=headers)
            assert answer.status == 403, (method, path, headers, answer.status)
            assert b"site" in answer.body.lower()
    assert system.client().get("kept").body == photograph.body
    assert system.autoscaler().config()["num_nodes"] == 1


def test_no_other_site_changes_anything_even_where_everything_is_open(
    start_system: StartSystem, few: tuple[Photograph, ...]
) -> None:
    system = start_system(anonymous="admin")
    check_refused(system, few[0], None)
    # Our own pages, and scripts, which send neither header, may.
    own = {"Origin": system.url(), "Sec-Fetch-Site": "same-origin"}
    assert system.client().request("PUT", "/api/images/own", body=few[1].body, headers=own).status == 201
    assert system.client().put("own", few[1].body).status == 200


def test_another_site_needs_a_token_and_browsers_ask_before_they_send_one(
    system: System, few: tuple[Photograph, ...]
) -> None:
    check_refused(system, few[0], None)
    for headers in (CROSS_SITE, FOREIGN):
        theirs = system.admin().request("PUT", "/api/images/theirs", body=few[1].body, headers=headers)
        assert theirs.status in (200, 201)
        asks = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
        told = system.client().request("OPTIONS", "/api/images/theirs", headers=FOREIGN | headers | asks)
        assert "Access-Control-Allow-Origin" not in told.headers, "its origin is none of CORS_ORIGINS"


def test_the_manager_refuses_other_sites_too(system: System) -> None:
    manager = system.client(app="manager")
    before = system.autoscaler().config()
    for headers in (CROSS_SITE, FOREIGN):
        for method, path in (("PATCH", "/api/config"), ("POST", "/api/clear"), ("POST", "/api/users")):
            assert manager.request(method, path, body=b"{}", headers=headers).problem == (403, "cross-site")
    assert system.autoscaler().config() == before


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize("path", ["/", "/images/kept", "/api/images", "/api/getNumNodes"])
def test_a_foreign_host_is_refused(system: System, few: tuple[Photograph, ...], host: str, path: str) -> None:
    assert system.admin().put("kept", few[0].body).status in (200, 201)
    for app in ("web", "manager"):
        client = system.client(system.admin().token, app=app)
        for method in ("GET", "POST"):
            answer = client.request(method, path, headers={"Host": host})
            assert answer.status == 400, (app, method, path, host, answer.status)
            assert few[0].body not in answer.body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:5000"])
def test_our_own_names_are_taken(system: System, few: tuple[Photograph, ...], host: str) -> None:
    assert system.admin().put("kept", few[0].body).status in (200, 201)
    assert system.client().get("kept", {"Host": host}).body == few[0].body


def test_internal_apps_refuse_everybody_without_the_internal_token(system: System) -> None:
    for app, path in (
        ("storage", "/internal/usage"),
        ("storage", "/internal/images/k1"),
        ("autoscaler", "/internal/config"),
        ("autoscaler", "/internal/pool"),
        ("memcache", "/stats"),
        ("memcache", "/images/k1"),
    ):
        for token in (None, "wrong", system.admin().token):
            assert system.client(token, app=app).request("GET", path).status == 401, (app, path)
        assert system.client(app=app).request("GET", "/healthz").status == 200
