"""The manager: its JSON, its pages, and who may use them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from testing.settings import make_settings
from testing.waiting import wait_for
from tests.apps.accounts_support import PASSWORD, accounts_of
from tests.apps.guard_support import endpoints_without_rule
from werkzeug.test import TestResponse

from elastic_images.accounts.accounts import Accounts
from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import Unavailable
from elastic_images.core.image_facts import Actor, BadImage, BadImagePage, ScrubStatus, StorageHealth, WholeUsage
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.database.engine import open_engine
from elastic_images.http.readiness import Readiness, ReadyGate
from elastic_images.manager.app import ManagerServices, create_app
from elastic_images.manager.deletion import Deletion
from elastic_images.manager.pages.images import CONFIRMATION
from elastic_images.manager.readiness import ManagerReadiness
from elastic_images.settings import Settings
from elastic_images.storage.client import StorageClient

PAGE = {"Accept": "text/html", "Origin": "http://localhost"}
OURS = {"Origin": "http://localhost"}
EVIL = "<script>alert(1)</script>"
OPEN = ("healthz", "readyz", "metrics", "static", "ui.static")
MORE: dict[str, Any] = {"message": EVIL, "incarnation": None, "cause": None, "changes": {}}


class FakePool(AutoscalerClient):
    """The autoscaler's rules on its settings, and records that it was given."""

    def __init__(self) -> None:
        self.settings = ScalingConfig()
        self.down = False
        self.without_figures = False
        """As where CloudWatch, which keeps them, does not answer."""
        self.cleared = 0
        self.asked: list[tuple[Any, ...]] = []

    def _answer(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.down:
            raise Unavailable("127.0.0.1:5002 does not answer.")

    def _answer_with_figures(self) -> None:
        if self.without_figures:
            raise Unavailable("CloudWatch does not answer (ConnectTimeoutError).")

    def readiness(self) -> Readiness:
        self._answer("readiness")
        return Readiness()

    def pool(self) -> Any:
        self._answer("pool")
        stats = {"items": 3, "bytes": 4_200_000, "capacity_bytes": 64_000_000, "hits": 90, "misses": 10}
        node = {"state": "live", "address": "127.0.0.1:4000", "epoch": 7, "started_at": 1.8e9}
        return {
            "map": {
                "epoch": 7,
                "partitions": [{"owner": n % 2, "previous": None, "copies": [n % 2]} for n in range(16)],
            },
            "wanted": 2,
            "mode": "manual",
            "phase": "settled",
            "busy": False,
            "assignment": "alternating",
            "moves": {"alternating": {str(nodes): 16 - nodes for nodes in range(1, 9)}},
            "nodes": [
                node | {"id": "node-0", "slot": 0, "partitions": [1, 3], "stats": stats},
                node
                | {"id": "node-1", "slot": 1, "partitions": [2, 4], "stats": None, "state": "dead", "address": None},
            ],
            "resize": None,
        }

    def config(self) -> Any:
        self._answer("config")
        return self.settings.to_json()

    def update_config(self, changes: Mapping[str, object]) -> Any:
        self._answer("update_config", dict(changes))
        self.settings = self.settings.merge(changes)
        return self.settings.to_json()

    def clear(self) -> Any:
        self._answer("clear")
        self.cleared += 1
        return {"cleared": ["node-0"], "failed": []}

    def decisions(self, limit: int = 50, before: int | None = None) -> Any:
        self._answer("decisions", limit, before)
        return [
            {
                "id": before - 1 if before else 99,
                "at": 1.8e9,
                "policy": "threshold",
                "action": "grow",
                "nodes_before": 1,
                "nodes_after": 2,
                "reason": f"miss rate 0.5 {EVIL}",
                "inputs": {"requests": 10},
            }
        ] * limit

    def resizes(self, limit: int = 50, before: int | None = None) -> Any:
        self._answer("resizes", limit, before)
        times = {"started_at": 1.8e9, "finished_at": None, "from": [0], "to": [0, 1]}
        rest = {"state": "open", "outcome": None, "epoch": 8, "wanted": 2, "reason": EVIL}
        return [{"id": 5} | times | rest]

    def events(self, limit: int = 50, before: int | None = None) -> Any:
        self._answer("events", limit, before)
        if before is not None:
            return []
        return [{"id": 6, "at": 1.8e9, "kind": "died", "slot": 0, "epoch": None, "reason": EVIL} | MORE]

    def metrics(self, name: str, minutes: int = 60, source: str | None = None) -> Any:
        self._answer("metrics", name, minutes, source)
        self._answer_with_figures()
        return {"name": name, "step_seconds": 60, "points": [[1.8e9 - 60, 0.5], [1.8e9, None]]}

    def rate(self, window_seconds: float = 60) -> Any:
        self._answer("rate", window_seconds)
        self._answer_with_figures()
        return {"requests": 100, "hits": 90, "misses": 10, "hit_rate": 0.9, "miss_rate": 0.1, "sources": ["node-0"]}


class FakeImages(StorageClient):
    def __init__(self) -> None:
        self.down = False
        self.deleted_by: list[Actor] = []
        self.bad: list[BadImage] = []
        self.scrub: ScrubStatus = {
            "running": False, "requested": False, "started_at": 1.0, "finished_at": 2.0, "requested_at": None,
            "objects": 12, "size_bytes": 3_456_789, "bad": 0, "total_objects": 12, "total_bytes": 3_456_789,
            "days": 30.0,
        }  # fmt: skip
        self.hold = threading.Event()
        """A deletion goes on when this is set."""
        self.hold.set()

    def readiness(self) -> Readiness:
        self.usage()
        return Readiness()

    def health(self) -> list[StorageHealth]:
        self.usage()
        return [
            {
                "readiness": Readiness().to_json(),
                "figures": {"free_bytes": 4e9, "collector_oldest": 0},
                "refused_last_hour": {},
            }
        ]

    def usage(self) -> WholeUsage:
        if self.down:
            raise Unavailable("127.0.0.1:5001 does not answer.")
        counts = [sum(image["state"] == state for image in self.bad) for state in ("damaged", "lost")]
        return {
            "images": 12,
            "bytes": 3_456_789,
            "trash_images": 34,
            "trash_bytes": 5_600_000,
            "damaged": counts[0],
            "lost": counts[1],
        }

    def bad_images(self, cursor: str | None = None) -> BadImagePage:
        if cursor is not None:
            return {"images": [], "next": None}
        return {"images": self.bad, "next": "more" if self.bad else None}

    def scrub_status(self) -> ScrubStatus:
        return self.scrub

    def request_scrub(self) -> ScrubStatus:
        self.scrub["requested"] = True
        return self.scrub

    def delete_all(self, *, actor: Actor) -> int:
        self.deleted_by.append(actor)
        return 12

    def delete_all_progress(self, *, actor: Actor) -> Iterator[int]:
        self.deleted_by.append(actor)
        yield 5
        self.hold.wait(60)
        if self.down:
            raise Unavailable("127.0.0.1:5001 stopped.")
        yield 12


class Manager:
    """An app with its fakes, and clients of it."""

    def __init__(self, accounts: Accounts, settings: Settings) -> None:
        self.accounts, self.pool, self.images = accounts, FakePool(), FakeImages()
        self.deletion = Deletion(self.images)
        ready = ReadyGate(ManagerReadiness(self.pool, self.images, accounts.check_database).look)
        services = ManagerServices(accounts, self.pool, self.images, ready=ready, deletion=self.deletion)
        self.app: Flask = create_app(services, settings)

    def log_in(self, name: str) -> FlaskClient:
        client = self.app.test_client()
        answer = client.post("/login", data={"name": name, "password": PASSWORD}, headers=PAGE)
        assert answer.status_code == 303
        return client

    def token(self, name: str, scope: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.accounts.tokens.create(name, 'test', [scope])[1]}"}


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with accounts_of(tmp_path, ann="user", root="admin") as accounts:
        yield accounts


@pytest.fixture
def manager(accounts: Accounts, tmp_path: Path) -> Manager:
    return Manager(accounts, make_settings(data=tmp_path))


@pytest.fixture
def root(manager: Manager) -> FlaskClient:
    return manager.log_in("root")


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """One for all tests that change nothing."""
    folder = tmp_path_factory.mktemp("unchanged")
    with accounts_of(folder, ann="user", root="admin") as accounts:
        yield Manager(accounts, make_settings(data=folder))


@pytest.fixture(scope="module")
def reader(unchanged: Manager) -> FlaskClient:
    """The administrator's browser there."""
    return unchanged.log_in("root")


def routes(app: Flask) -> list[tuple[str, str]]:
    """Every route that is for administrators, with something in the place of its variables."""
    found = []
    for route in app.url_map.iter_rules():
        if route.endpoint in OPEN or route.endpoint.startswith(("login.", "account.")):
            continue
        path = re.sub(r"<int:\w+>", "999", route.rule).replace("<name>", "ann")
        found += [(method, path) for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"})]
    return sorted(found)


def outcome(answer: TestResponse) -> int:
    return 401 if answer.status_code == 303 and answer.headers["Location"].startswith("/login") else answer.status_code


# Who may: every route in every mode.


def test_every_route_declares_who_may(manager: Manager) -> None:
    assert endpoints_without_rule(manager.app) == []
    assert len(routes(manager.app)) > 35


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize("mode", ["none", "read", "write"])
def test_all_routes_are_for_administrators(accounts: Accounts, tmp_path: Path, mode: str, accept: str) -> None:
    manager = Manager(accounts, make_settings(data=tmp_path, anonymous=mode))
    strangers: list[tuple[int, FlaskClient, dict[str, str]]] = [
        (401, manager.app.test_client(), {}),
        (401, manager.app.test_client(), {"Authorization": "Bearer ei_wrong"}),
        (403, manager.log_in("ann"), {}),
        (403, manager.app.test_client(), manager.token("ann", "write")),
        (403, manager.app.test_client(), manager.token("root", "write")),
    ]
    for method, path in routes(manager.app):
        for status, client, headers in strangers:
            answer = client.open(path, method=method, headers=headers | OURS | {"Accept": accept})
            assert outcome(answer) == status, (method, path, headers)
    assert manager.pool.asked == []
    assert manager.images.deleted_by == []
    assert [user.name for user in accounts.users.list()] == ["ann", "root"]


@pytest.mark.parametrize("who", ["admin session", "admin token", "anybody in mode admin"])
def test_administrators_reach_all_routes(accounts: Accounts, tmp_path: Path, who: str) -> None:
    mode = "admin" if who.startswith("anybody") else "none"
    manager = Manager(accounts, make_settings(data=tmp_path, anonymous=mode))
    accounts.users.add("eve", PASSWORD, "admin")
    client = manager.log_in("eve") if who == "admin session" else manager.app.test_client()
    headers = OURS | (manager.token("eve", "admin") if who == "admin token" else {})
    for method, path in routes(manager.app):
        answer = client.open(path, method=method, headers=headers)
        assert outcome(answer) not in (401, 403, 405, 500), (method, path)


def test_no_other_site_reaches_anything_that_changes_something(accounts: Accounts, tmp_path: Path) -> None:
    manager = Manager(accounts, make_settings(data=tmp_path, anonymous="admin"))
    changing = [route for route in routes(manager.app) if route[0] != "GET"]
    assert len(changing) > 15
    for method, path in [*changing, ("POST", "/login"), ("POST", "/logout")]:
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://localhost:5000"}, {"Origin": "null"}):
            assert manager.app.test_client().open(path, method=method, headers=headers).status_code == 403
    assert manager.pool.asked == []
    assert manager.images.deleted_by == []


def test_a_foreign_host_reaches_nothing(manager: Manager, root: FlaskClient) -> None:
    for method, path in [*routes(manager.app), ("GET", "/login"), ("GET", "/nowhere")]:
        assert root.open(path, method=method, headers=OURS | {"Host": "evil.example"}).status_code == 400
    assert root.get("/healthz", headers={"Host": "evil.example"}).status_code == 200


# Logging in.


def test_people_log_in_and_come_back_to_where_they_wanted(manager: Manager) -> None:
    client = manager.app.test_client()
    answer = client.get("/users/ann?x=1", headers=PAGE)
    assert answer.headers["Location"] == "/login?next=/users/ann%3Fx%3D1"
    page = client.get(answer.headers["Location"], headers=PAGE).text
    assert 'name="next" value="/users/ann?x=1"' in page
    form = {"name": "root", "password": PASSWORD, "next": "/users/ann?x=1"}
    assert client.post("/login", data=form, headers=PAGE).headers["Location"] == "/users/ann?x=1"
    assert client.get("/users/ann", headers=PAGE).status_code == 200
    assert client.get("/login?next=/users", headers=PAGE).headers["Location"] == "/users"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_a_login_leads_to_no_other_site(unchanged: Manager, target: str) -> None:
    form = {"name": "root", "password": PASSWORD, "next": target}
    assert unchanged.app.test_client().post("/login", data=form, headers=PAGE).headers["Location"] == "/"


def test_a_wrong_password_is_refused_and_then_slowed_down(manager: Manager) -> None:
    client = manager.app.test_client()
    for _ in range(10):
        answer = client.post("/login", data={"name": EVIL, "password": "wrong"}, headers=PAGE)
        assert answer.status_code == 401
        assert "Wrong name or password." in answer.text
        assert EVIL not in answer.text
        assert "Set-Cookie" not in answer.headers
    answer = client.post("/login", data={"name": EVIL, "password": "wrong"}, headers=PAGE)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 900


def test_logging_out(root: FlaskClient) -> None:
    assert root.post("/logout", headers=PAGE).headers["Location"] == "/login"
    assert outcome(root.get("/", headers=PAGE)) == 401


def test_a_plain_user_is_told_why_and_can_log_out(manager: Manager) -> None:
    answer = manager.log_in("ann").get("/", headers=PAGE)
    assert answer.status_code == 403
    assert "You are logged in as ann." in answer.text
    assert 'action="/logout"' in answer.text
    assert 'href="/users"' not in answer.text


# The pages.


PAGES = [
    "/",
    "/charts",
    "/pool",
    "/decisions",
    "/resizes",
    "/events",
    "/images",
    "/users",
    "/users/ann",
    "/tokens",
    "/account",
    "/settings",
]


@pytest.mark.parametrize("path", [*PAGES, "/nowhere"])
def test_pages_hold_nothing_inline_and_are_not_kept(reader: FlaskClient, path: str) -> None:
    answer = reader.get(path, headers=PAGE)
    assert answer.status_code == (404 if path == "/nowhere" else 200)
    assert answer.content_type == "text/html; charset=utf-8"
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=|javascript:", answer.text)
    for address in re.findall(r'(?:src|href)="(/assets/[^"#]+)', answer.text):
        assert reader.get(address).status_code == 200, address
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert path == "/nowhere" or answer.headers["Cache-Control"] == "no-store"


def shown(client: FlaskClient, answer: TestResponse, place: str) -> str:
    """The page that the answer to a form leads to; asked for again, it does not tell the note again."""
    assert answer.status_code == 303
    where = answer.headers["Location"]
    assert where.partition("?")[0] == place
    assert where.partition("?")[2].startswith("note=")
    page = client.get(where, headers=PAGE)
    assert page.status_code == 200
    again = client.get(where, headers=PAGE).text
    for note in re.findall(r'<div class="notice.*?</div></div>', page.text, re.DOTALL):
        assert 'id="lost"' in note or note not in again
    return unescape(page.text)


def test_every_form_carries_the_form_token(root: FlaskClient) -> None:
    count = 0
    for path in PAGES:
        for form in re.findall(r"<form method=\"post\".*?</form>", root.get(path, headers=PAGE).text, re.DOTALL):
            assert re.search(r'name="form_token" value="[\w-]{43}"', form), form
            count += 1
    assert count > 20


def test_the_dashboard_shows_the_pool(root: FlaskClient) -> None:
    page = unescape(root.get("/", headers=PAGE).text)
    for part in ("1 live, 2 wanted", "4.2 MB of 64.0 MB", "90.0 %", "12 images, 3.5 MB", "1, 3", "Problem detected"):
        assert part in page
    assert "1 of 2 serving; node 1 failed" in page


def test_the_dashboard_has_the_charts_as_a_table_for_those_without_a_script(root: FlaskClient) -> None:
    for path in ("/", "/charts"):
        page = root.get(path, headers=PAGE).text
        assert "07:59:00 UTC" in page
        assert "50.0 %" in page
    # A script asks for what changes only, and draws the charts itself.
    assert "07:59:00 UTC" not in root.get("/", headers=PAGE | {"HX-Request": "true"}).text


def test_the_pool_is_shown_while_its_figures_cannot_be_read(manager: Manager, root: FlaskClient) -> None:
    manager.pool.without_figures = True
    page = root.get("/").get_data(as_text=True)
    assert "CloudWatch does not answer" in page
    assert "The autoscaler is not responding" not in page
    health = root.get("/api/health").get_json()
    assert {part["name"]: part["level"] for part in health["parts"]}["Cache"] == "unknown"
    assert root.get("/charts").status_code == 503
    assert root.get("/pool").status_code == 200


def test_the_pages_come_and_say_so_when_others_are_down(manager: Manager, root: FlaskClient) -> None:
    manager.pool.down = manager.images.down = True
    page = root.get("/", headers=PAGE)
    assert page.status_code == 200
    assert "127.0.0.1:5002 does not answer." in page.text
    assert "127.0.0.1:5001 does not answer." in page.text
    assert manager.pool.asked == [("pool",)], "one time-out is enough"
    assert "The autoscaler is not responding" in root.get("/pool", headers=PAGE).text
    assert "127.0.0.1:5001 does not answer." in root.get("/images", headers=PAGE).text
    for path in ("/decisions", "/resizes", "/events", "/charts"):
        answer = root.get(path, headers=PAGE)
        assert answer.status_code == 503
        assert "127.0.0.1:5002 does not answer." in answer.text
        assert "<h1>" in answer.text
    assert root.get("/api/pool").status_code == 503
    assert "does not answer" in shown(root, root.post("/pool/clear", headers=PAGE), "/pool")
    assert root.get("/users", headers=PAGE).status_code == 200


FORM = {
    "mode": "auto",
    "cache_mb": "32",
    "policy": "RR",
    "expand_ratio": "3",
    "shrink_ratio": "0.4",
    "max_miss": "0.5",
    "min_miss": "0.1",
}


def test_the_settings_form(manager: Manager, root: FlaskClient) -> None:
    answer = root.post("/pool/config", data=FORM, headers=PAGE)
    assert manager.pool.settings == ScalingConfig("auto", 1, 32, "RR", 3.0, 0.4, 0.5, 0.1)
    assert "Settings saved." in shown(root, answer, "/pool")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_miss", "nan"),
        ("min_miss", "0.9"),
        ("cache_mb", "-1"),
        ("policy", "FIFO"),
        ("mode", "x"),
        ("expand_ratio", "inf"),
    ],
)
def test_a_setting_that_makes_no_sense_changes_nothing(
    unchanged: Manager, reader: FlaskClient, name: str, value: str
) -> None:
    form = "memory" if name in ("cache_mb", "policy") else "scaling"
    answer = reader.post("/pool/config", data=FORM | {name: value, "form": form}, headers=PAGE)
    page = shown(reader, answer, "/pool")
    assert unchanged.pool.settings == ScalingConfig()
    assert name in page
    # What was typed is still there, and what is wrong with it stands beside it.
    if name not in ("mode", "policy"):
        assert re.search(rf'name="{name}" [^>]*value="{value}"[^>]*aria-invalid="true"', page), name


def test_the_size_by_hand(manager: Manager, root: FlaskClient) -> None:
    for form, size in (
        ({"step": "add"}, 2),
        ({"num_nodes": "8"}, 8),
        ({"step": "add"}, 8),
        ({"step": "remove"}, 7),
        ({"num_nodes": ""}, 7),
    ):
        shown(root, root.post("/pool/size", data=form, headers=PAGE), "/pool")
        assert manager.pool.settings.num_nodes == size


def test_the_sizes_say_what_they_would_move(root: FlaskClient) -> None:
    page = root.get("/pool", headers=PAGE).text
    assert [int(number) for number in re.findall(r"moves (\d+)", page)] == [16 - nodes for nodes in range(1, 9)]


def test_the_gallery_is_linked_where_its_address_is_known(
    accounts: Accounts, tmp_path: Path, root: FlaskClient
) -> None:
    assert 'href="http://localhost:5000/"' in root.get("/images", headers=PAGE).text
    behind = Manager(accounts, make_settings(data=tmp_path, trusted_proxies=("127.0.0.1",)))
    assert ":5000/" not in behind.log_in("root").get("/images", headers=PAGE).text


def test_clearing(manager: Manager, root: FlaskClient) -> None:
    assert "All caches cleared." in shown(root, root.post("/pool/clear", headers=PAGE), "/pool")
    assert manager.pool.cleared == 1


def test_deleting_all_needs_the_words(manager: Manager, root: FlaskClient) -> None:
    for confirmation in ("", "yes", "delete all"):
        answer = root.post("/images/delete_all", data={"confirmation": confirmation}, headers=PAGE)
        assert "Nothing was deleted" in shown(root, answer, "/images")
    assert manager.images.deleted_by == []
    assert manager.deletion.progress.state == "none"


def test_deleting_all_shows_how_far_it_is(manager: Manager, root: FlaskClient) -> None:
    manager.images.hold.clear()
    begin = {"confirmation": CONFIRMATION.upper()}
    page = shown(root, root.post("/images/delete_all", data=begin, headers=PAGE), "/images")
    assert "Deleting all images" in page
    wait_for(lambda: manager.deletion.progress.deleted == 5)
    assert "5 of 12 images deleted." in unescape(root.get("/images", headers=PAGE).text)
    assert root.get("/api/deletion").json == asdict(manager.deletion.progress)
    # Another one is not begun meanwhile, by nobody.
    assert root.post("/api/deletion", headers=OURS).status_code == 409
    assert "already" in shown(root, root.post("/images/delete_all", data=begin, headers=PAGE), "/images")
    manager.images.hold.set()
    wait_for(lambda: manager.deletion.progress.state == "done")
    assert "All images were deleted" in root.get("/images", headers=PAGE).text
    assert manager.images.deleted_by == [Actor(2, "root", admin=True)]


def test_a_deletion_that_fails_says_so_and_may_be_repeated(manager: Manager, root: FlaskClient) -> None:
    manager.images.hold.clear()
    assert root.post("/api/deletion", headers=OURS).status_code == 202
    wait_for(lambda: manager.deletion.progress.deleted == 5)
    manager.images.down = True
    manager.images.hold.set()
    wait_for(lambda: manager.deletion.progress.state == "failed")
    assert "127.0.0.1:5001 stopped." in root.get("/images", headers=PAGE).text
    manager.images.down = False
    assert root.post("/api/deletion", headers=OURS).status_code == 202
    wait_for(lambda: manager.deletion.progress.state == "done")


def test_a_manager_that_stops_waits_for_no_deletion(manager: Manager) -> None:
    manager.images.hold.clear()
    manager.deletion.start(Actor(None, "x", admin=True))
    wait_for(lambda: manager.deletion.progress.deleted == 5)
    manager.deletion.stop(timeout_seconds=0.01)
    manager.images.hold.set()
    manager.deletion.stop()


def test_records_are_shown_as_text_and_page_on(manager: Manager, root: FlaskClient) -> None:
    for path in ("/decisions", "/resizes", "/events"):
        page = root.get(path, headers=PAGE).text
        assert EVIL not in page
        assert "&lt;script&gt;" in page
    page = root.get("/decisions?limit=2&before=50", headers=PAGE).text
    assert manager.pool.asked[-1] == ("decisions", 2, 50)
    assert 'href="/decisions?before=49"' in page
    assert "Older" not in root.get("/events", headers=PAGE).text


def secret_in(page: str) -> str:
    found = re.search(r'<code id="secret">([\w-]+)</code>', page)
    assert found is not None
    return found[1]


def test_users_by_the_pages(manager: Manager, root: FlaskClient) -> None:
    answer = root.post("/users", data={"name": "bob", "password": "", "role": "user"}, headers=PAGE)
    password = secret_in(shown(root, answer, "/users"))
    assert manager.accounts.log_in("bob", password)
    assert password not in root.get("/users", headers=PAGE).text
    page = shown(root, root.post("/users", data={"name": "bob", "password": PASSWORD}, headers=PAGE), "/users")
    assert 'role="alert"' in page
    assert 'name="name" type="text" value="bob"' in page
    answer = root.post("/users", data={"name": EVIL, "password": PASSWORD}, headers=PAGE)
    assert EVIL not in root.get(answer.headers["Location"], headers=PAGE).text
    for form, words in (
        ({"action": "role", "role": "admin"}, "The role of bob was changed."),
        ({"action": "revoke"}, "All sessions of bob ended"),
        ({"action": "disable"}, "bob is disabled"),
    ):
        assert words in shown(root, root.post("/users/bob", data=form, headers=PAGE), "/users/bob")
    bob = manager.accounts.users.get("bob")
    assert (bob.role, bob.disabled) == ("admin", True)
    root.post("/users/bob", data={"action": "enable"}, headers=PAGE)
    answer = root.post("/users/bob", data={"action": "password", "password": "another horse"}, headers=PAGE)
    page = shown(root, answer, "/users/bob")
    assert "The password was changed" in page
    assert "another horse" not in page
    assert manager.accounts.log_in("bob", "another horse")
    answer = root.post("/users/bob", data={"action": "password"}, headers=PAGE)
    assert manager.accounts.log_in("bob", secret_in(shown(root, answer, "/users/bob")))


def test_what_cannot_be_done_to_a_user(manager: Manager, root: FlaskClient) -> None:
    for form in (
        {"action": "disable"},
        {"action": "role", "role": "user"},
        {"action": "role", "role": "god"},
        {"action": "password", "password": "short"},
        {"action": "explode"},
        {},
    ):
        assert 'role="alert"' in shown(root, root.post("/users/root", data=form, headers=PAGE), "/users/root")
    kept = manager.accounts.users.get("root")
    assert (kept.role, kept.disabled) == ("admin", False)
    assert manager.accounts.log_in("root", PASSWORD)
    assert root.post("/users/nobody", data={"action": "disable"}, headers=PAGE).status_code == 404
    assert root.get("/users/nobody", headers=PAGE).status_code == 404


def test_a_note_is_for_who_caused_it_only(manager: Manager, root: FlaskClient) -> None:
    answer = root.post("/users", data={"name": "bob", "role": "user"}, headers=PAGE)
    other = manager.log_in("root")
    assert 'id="secret"' not in other.get(answer.headers["Location"], headers=PAGE).text
    assert secret_in(shown(root, answer, "/users"))


def test_a_session_is_ended_by_the_page(manager: Manager, root: FlaskClient) -> None:
    ann = manager.log_in("ann")
    (session,) = manager.accounts.sessions.list(1)
    assert f"/users/ann/sessions/{session.id}/end" in root.get("/users/ann", headers=PAGE).text
    assert root.post(f"/users/root/sessions/{session.id}/end", headers=PAGE).status_code == 404
    assert outcome(ann.get("/", headers=PAGE)) == 403
    answer = root.post(f"/users/ann/sessions/{session.id}/end", headers=PAGE)
    assert "The session was ended." in shown(root, answer, "/users/ann")
    assert outcome(ann.get("/", headers=PAGE)) == 401


def test_tokens_by_the_pages(manager: Manager, root: FlaskClient) -> None:
    form = {"user": "ann", "label": EVIL, "scope": ["read", "write"], "days": "7"}
    answer = root.post("/tokens", data=form, headers=PAGE)
    page = root.get(answer.headers["Location"], headers=PAGE).text
    assert EVIL not in page
    secret = secret_in(page)
    assert manager.accounts.of_token(secret) is not None
    (token,) = manager.accounts.tokens.list("ann")
    assert token.expires_at == pytest.approx(token.created_at + 7 * 86_400)
    assert secret not in root.get("/tokens", headers=PAGE).text
    mistakes: tuple[dict[str, Any], ...] = ({"scope": "admin"}, {"scope": []}, {"days": "x"}, {"user": "nobody"})
    for bad in mistakes:
        page = shown(root, root.post("/tokens", data=form | {"label": "kept"} | bad, headers=PAGE), "/tokens")
        assert 'role="alert"' in page
        assert 'value="kept"' in page
    answer = root.post(f"/tokens/{token.id}/revoke", data={"next": "/users/ann"}, headers=PAGE)
    assert "Token revoked." in shown(root, answer, "/users/ann")
    assert manager.accounts.of_token(secret) is None
    answer = root.post(f"/tokens/{token.id}/revoke", data={"next": "//evil.example"}, headers=PAGE)
    assert answer.headers["Location"].startswith("/tokens?note=")


# One's own account.


def test_the_own_password(manager: Manager, root: FlaskClient) -> None:
    other = manager.log_in("root")
    change = {"current": PASSWORD, "new": "another horse", "again": "another horse"}
    for bad in ({"again": "a third horse"}, {"current": "wrong"}, {"new": "short", "again": "short"}):
        page = shown(root, root.post("/account/password", data=change | bad, headers=PAGE), "/account")
        assert 'role="alert"' in page
    assert len(manager.accounts.sessions.list(2)) == 2  # the failures left none
    answer = root.post("/account/password", data=change, headers=PAGE)
    assert len(manager.accounts.sessions.list(2)) == 1
    assert "Your password was changed" in shown(root, answer, "/account")
    assert outcome(other.get("/", headers=PAGE)) == 401
    assert manager.accounts.log_in("root", "another horse")


def test_the_own_account_needs_a_session(manager: Manager, root: FlaskClient) -> None:
    headers = manager.token("root", "admin")
    for method, path in (("GET", "/account"), ("GET", "/api/account"), ("POST", "/api/account/password")):
        assert manager.app.test_client().open(path, method=method, headers=headers).status_code == 403
        assert manager.app.test_client().open(path, method=method).status_code == 401
    told = root.get("/api/account").json
    assert told is not None
    assert (told["name"], len(told["sessions"])) == ("root", 1)
    body = {"current": "wrong", "new": "another horse"}
    assert root.post("/api/account/password", json=body, headers=OURS).status_code == 403
    body["current"] = PASSWORD
    other = manager.log_in("root")
    assert root.post("/api/account/password", json=body | {"new": "short"}, headers=OURS).status_code == 400
    assert root.post("/api/account/password", json=body, headers=OURS).status_code == 204
    assert outcome(other.get("/", headers=PAGE)) == 401
    told = root.get("/api/account").json
    assert told is not None
    assert len(told["sessions"]) == 1
    assert manager.accounts.log_in("root", "another horse")


def test_a_plain_user_has_an_account_here_too_and_nothing_else(manager: Manager) -> None:
    ann = manager.log_in("ann")
    page = ann.get("/account", headers=PAGE)
    assert page.status_code == 200
    assert 'href="/users"' not in page.text
    (session,) = manager.accounts.sessions.list(1)
    root = manager.log_in("root")
    (roots,) = manager.accounts.sessions.list(2)
    assert ann.post(f"/account/sessions/{roots.id}/end", headers=PAGE).status_code == 404
    assert outcome(root.get("/", headers=PAGE)) == 200
    ann.post(f"/account/sessions/{session.id}/end", headers=PAGE)
    assert outcome(ann.get("/account", headers=PAGE)) == 401


def test_the_settings_page_hides_secrets(accounts: Accounts, tmp_path: Path) -> None:
    hidden = {
        "admin_password": "hidden-password",
        "internal_token": "hidden-token",
        "secret_key": "hidden-key",
        "database": "mysql://user:hidden-database@db/images",
    }
    manager = Manager(accounts, make_settings(data=tmp_path, **hidden))
    client = manager.log_in("root")
    for path in ("/settings", "/api/settings"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "hidden-" not in answer.text
        assert "user:***@db" in answer.text


# Damaged and lost images.


def test_bad_images_are_counted_and_listed_with_what_to_do(manager: Manager, root: FlaskClient) -> None:
    assert "Damaged and lost" not in root.get("/images", headers=PAGE).text
    manager.images.bad = [
        {"key": "a<b>", "state": "damaged", "detail": "Its SHA-256 is 12ab.", "found_at": 1.0},
        {"key": "c", "state": "lost", "detail": "The object store does not have it.", "found_at": 2.0},
    ]
    page = root.get("/images", headers=PAGE).text
    for words in (
        "Damaged and lost images",
        "a&lt;b&gt;",
        "Its SHA-256 is 12ab.",
        "fsck --repair --from",
        "cursor=more",
    ):
        assert words in page
    health: Any = root.get("/api/health").json
    part = next(part for part in health["parts"] if part["name"] == "Storage")
    assert (part["level"], part["words"]) == ("bad", "12 images, 3.5 MB; 1 damaged, 1 lost")
    assert "Upload them again" in part["advice"]
    assert "1 damaged, 1 lost" in root.get("/", headers=PAGE).text
    assert root.get("/api/bad_images").json == {"images": manager.images.bad, "next": "more"}
    assert root.get("/api/bad_images?cursor=more").json == {"images": [], "next": None}


def test_a_round_of_the_scrubber_can_be_requested(manager: Manager, root: FlaskClient) -> None:
    assert "The last round ended" in root.get("/images", headers=PAGE).text
    assert root.get("/api/scrub").json == manager.images.scrub
    answer = root.post("/api/scrub", headers=OURS)
    assert (answer.status_code, answer.json) == (202, manager.images.scrub)
    assert "A round starts within seconds." in root.get("/images", headers=PAGE).text
    manager.images.scrub |= {"requested": False, "running": True, "objects": 5}
    assert "5 of 12 objects verified in this round." in root.get("/images", headers=PAGE).text


# The JSON.


def test_facts_are_passed_on(manager: Manager, root: FlaskClient) -> None:
    assert root.get("/api/pool").json == manager.pool.pool()
    assert root.get("/api/config").json == ScalingConfig().to_json()
    assert root.get("/api/storage").json == manager.images.usage()
    assert root.get("/api/rate?window_seconds=300").json == manager.pool.rate()
    root.get("/api/metrics?name=miss_rate&minutes=90&source=node-1")
    root.get("/api/metrics?name=items")
    root.get("/api/decisions?limit=2&before=9")
    root.get("/api/resizes")
    root.get("/api/events")
    assert manager.pool.asked[-5:] == [
        ("metrics", "miss_rate", 90, "node-1"),
        ("metrics", "items", 60, None),
        ("decisions", 2, 9),
        ("resizes", 50, None),
        ("events", 50, None),
    ]
    answer = root.get("/api/events").json
    assert answer is not None
    assert answer["events"][0]["kind"] == "died"
    settings = root.get("/api/settings").json
    assert settings is not None
    assert settings["anonymous"] == {"value": "read", "source": "default"}


def test_health_and_charts_as_json(manager: Manager, root: FlaskClient) -> None:
    told = root.get("/api/health").json
    assert told is not None
    assert told["level"] == "bad"
    assert {part["name"]: part["level"] for part in told["parts"]} == {
        "Storage": "ok",
        "Uploads": "ok",
        "Database": "ok",
        "Autoscaler": "ok",
        "Nodes": "bad",
        "Cache": "ok",
    }
    charts = root.get("/api/charts?minutes=2").json
    assert charts is not None
    assert charts["times"] == [1.8e9 - 60, 1.8e9]
    assert charts["series"]["hit_rate"] == [0.5, None]
    assert charts["marks"] == [{"at": 1.8e9, "kind": "resize", "words": "Resized from 1 to 2 nodes"}]
    manager.pool.down = True
    assert root.get("/api/charts").status_code == 503
    assert root.get("/api/health").status_code == 200


def test_settings_are_checked_while_they_are_typed(manager: Manager, root: FlaskClient) -> None:
    good = root.get("/api/config/check?mode=auto&max_miss=0.4&min_miss=0.1&expand_ratio=2&shrink_ratio=0.5").json
    assert good is not None
    assert good["problems"] == {}
    assert "Above 40.0 % the pool grows: from 1 node to 2." in good["explanation"]
    bad = root.get("/api/config/check?max_miss=7&min_miss=x&cache_mb=3").json
    assert bad is not None
    assert bad["problems"].keys() == {"max_miss", "min_miss"}
    assert bad["explanation"] == []
    assert root.get("/api/config/check?nonsense=1").status_code == 400
    assert manager.pool.settings == ScalingConfig()


@pytest.mark.parametrize(
    "path",
    [
        "/api/charts?minutes=0",
        "/api/metrics",
        "/api/metrics?name=x&minutes=0",
        "/api/metrics?name=x&minutes=ten",
        "/api/rate?window_seconds=nan",
        "/api/rate?window_seconds=0",
        "/api/decisions?limit=0",
        "/api/decisions?limit=501",
        "/api/events?before=-1",
        "/api/resizes?before=1e3",
        "/decisions?limit=x",
    ],
)
def test_arguments_that_make_no_sense(reader: FlaskClient, path: str) -> None:
    answer = reader.get(path)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"


def test_the_configuration_is_changed_all_or_nothing(manager: Manager, root: FlaskClient) -> None:
    answer = root.patch("/api/config", json={"num_nodes": 4, "policy": "RR"}, headers=OURS)
    assert answer.json == ScalingConfig(num_nodes=4, policy="RR").to_json()
    for bad in ({"num_nodes": 9, "mode": "auto"}, {"unknown": 1}):
        assert root.patch("/api/config", json=bad, headers=OURS).status_code == 400
    for body in (b"[]", b"{", b"\xff", b"3"):
        assert root.patch("/api/config", data=body, headers=OURS).status_code == 400
    assert manager.pool.settings == ScalingConfig(num_nodes=4, policy="RR")


def test_clear_and_delete_all(manager: Manager) -> None:
    client, headers = manager.app.test_client(), manager.token("root", "admin")
    assert client.post("/api/clear", headers=headers).json == {"cleared": ["node-0"], "failed": []}
    assert client.post("/api/delete_all", headers=headers).json == {"deleted": 12}
    assert manager.images.deleted_by == [Actor(2, "root", admin=True)]


def test_users_by_json(manager: Manager) -> None:
    client, headers = manager.app.test_client(), manager.token("root", "admin")
    made = client.post("/api/users", json={"name": "Zoë", "role": "admin"}, headers=headers)
    assert made.status_code == 201
    assert made.headers["Location"] == "/api/users/Zo%C3%AB"
    assert made.json is not None
    assert manager.accounts.log_in("zoë", made.json["password"]).principal.is_admin
    given = client.post("/api/users", json={"name": "bob", "password": PASSWORD}, headers=headers)
    assert given.json is not None
    assert given.json.keys() == {"id", "name", "role", "disabled", "created_at"}
    listed = client.get("/api/users", headers=headers).json
    assert listed is not None
    assert [user["name"] for user in listed["users"]] == ["ann", "bob", "root", "Zoë"]
    changed = client.patch("/api/users/bob", json={"role": "admin", "disabled": True}, headers=headers)
    assert changed.json == given.json | {"role": "admin", "disabled": True}
    assert client.get("/api/users/BOB", headers=headers).json == changed.json
    client.patch("/api/users/bob", json={"disabled": False, "password": "another horse"}, headers=headers)
    secret = manager.accounts.log_in("bob", "another horse").secret
    sessions = client.get("/api/users/bob/sessions", headers=headers)
    assert sessions.json is not None
    assert secret not in sessions.text
    number = sessions.json["sessions"][0]["id"]
    assert client.delete(f"/api/users/bob/sessions/{number}", headers=headers).status_code == 204
    assert manager.accounts.of_session(secret) is None
    again = manager.accounts.log_in("bob", "another horse").secret
    assert client.post("/api/users/bob/revoke", headers=headers).status_code == 200
    assert manager.accounts.of_session(again) is None


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/users", {}, 400),
        ("POST", "/api/users", {"name": 7}, 400),
        ("POST", "/api/users", {"name": "bob", "password": "short"}, 400),
        ("POST", "/api/users", {"name": "bob", "role": ""}, 400),
        ("POST", "/api/users", {"name": "bob", "admin": True}, 400),
        ("POST", "/api/users", {"name": "ANN"}, 409),
        ("PATCH", "/api/users/ann", {}, 400),
        ("PATCH", "/api/users/ann", {"disabled": "yes"}, 400),
        ("PATCH", "/api/users/ann", {"role": "god", "disabled": True}, 400),
        ("PATCH", "/api/users/ann", {"name": "anna"}, 400),
        ("PATCH", "/api/users/root", {"disabled": True}, 409),
        ("PATCH", "/api/users/root", {"role": "user", "password": "another horse"}, 409),
        ("PATCH", "/api/users/nobody", {"disabled": True}, 404),
        ("POST", "/api/users/nobody/revoke", {}, 404),
        ("GET", "/api/users/nobody/sessions", None, 404),
        ("DELETE", "/api/users/ann/sessions/999", None, 404),
        ("POST", "/api/tokens", {"label": "x", "scopes": ["read"], "user": "nobody"}, 404),
        ("POST", "/api/tokens", {"label": "x", "scopes": ["admin"], "user": "ann"}, 403),
        ("POST", "/api/tokens", {"label": "x", "scopes": "read"}, 400),
        ("POST", "/api/tokens", {"label": "x", "scopes": []}, 400),
        ("POST", "/api/tokens", {"scopes": ["read"]}, 400),
        ("POST", "/api/tokens", {"label": "x", "scopes": ["read"], "expires_seconds": True}, 400),
        ("POST", "/api/tokens", {"label": "x", "scopes": ["read"], "expires_seconds": -1}, 400),
        ("POST", "/api/tokens", {"label": "x", "scopes": ["read"], "expires_seconds": 10**400}, 400),
        ("DELETE", "/api/tokens/999999", None, 404),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    unchanged: Manager, method: str, path: str, body: Any, status: int
) -> None:
    client, headers = unchanged.app.test_client(), unchanged.token("root", "admin")
    before = unchanged.accounts.users.list(), len(unchanged.accounts.tokens.list())
    answer = client.open(path, method=method, json=body, headers=headers)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert (unchanged.accounts.users.list(), len(unchanged.accounts.tokens.list())) == before
    assert unchanged.accounts.log_in("root", PASSWORD)


def test_tokens_by_json(manager: Manager) -> None:
    client, headers = manager.app.test_client(), manager.token("root", "admin")
    made = client.post(
        "/api/tokens",
        json={"user": "ann", "label": "backup", "scopes": ["write"], "expires_seconds": 60},
        headers=headers,
    )
    assert made.status_code == 201
    assert made.json is not None
    principal = manager.accounts.of_token(made.json["secret"])
    assert principal is not None
    assert principal.name == "ann"
    assert made.json["scopes"] == ["read", "write"]
    listed = client.get("/api/tokens?user=ann", headers=headers).json
    assert listed is not None
    assert [token["label"] for token in listed["tokens"]] == ["backup"]
    assert "secret" not in listed["tokens"][0]
    mine = client.post("/api/tokens", json={"label": "mine", "scopes": ["read"]}, headers=headers).json
    assert mine is not None
    assert mine["user"] == "root"
    assert client.delete(f"/api/tokens/{made.json['id']}", headers=headers).status_code == 204
    assert manager.accounts.of_token(made.json["secret"]) is None


def test_a_visitor_in_mode_admin_says_whose_token_it_is(accounts: Accounts, tmp_path: Path) -> None:
    manager = Manager(accounts, make_settings(data=tmp_path, anonymous="admin"))
    client = manager.app.test_client()
    body = {"label": "x", "scopes": ["read"]}
    assert client.post("/api/tokens", json=body).status_code == 400
    assert client.post("/api/tokens", json=body | {"user": "ann"}).status_code == 201
    client.post("/api/delete_all")
    assert manager.images.deleted_by == [Actor(None, "anonymous", admin=True)]


def test_a_body_that_is_too_large(root: FlaskClient) -> None:
    assert root.post("/api/users", data=b"x" * 200_000, headers=OURS).status_code == 413
    assert root.post("/api/users", data=b"[" * 50_000, headers=OURS).status_code == 400


def test_not_ready_without_the_database(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/missing/accounts.db")
    manager = Manager(Accounts(engine, session_seconds=60), make_settings(data=tmp_path))
    client = manager.app.test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.get("/api/pool", headers={"Authorization": "Bearer ei_x"}).status_code == 503
    engine.dispose()


def test_every_json_call_is_documented(manager: Manager) -> None:
    readme = (Path(create_app.__code__.co_filename).parent / "README.md").read_text(encoding="utf-8")
    for route in manager.app.url_map.iter_rules():
        if route.rule.startswith("/api/"):
            path = re.sub(r"<int:\w+>", "<id>", route.rule)
            for method in (route.methods or set()) - {"HEAD", "OPTIONS"}:
                assert re.search(rf"`({method} )?{re.escape(path)}[`?]", readme), (method, path)
