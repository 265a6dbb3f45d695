"""The trash from the outside: REST, pages and command line, in front of a real storage app."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from testing.settings import make_settings
from testing.storage_parts import picture
from tests.apps.accounts_support import PASSWORD, accounts_of
from tests.apps.test_web_openapi import check
from tests.apps.web_support import BROWSER, FakeImages, FakePlane, FakePool, Web
from tests.unit.cli.support import run, run_json

from elastic_images.accounts.guard import Guard
from elastic_images.core.errors import Unavailable
from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import migrate
from elastic_images.http.internal_client import InternalClient
from elastic_images.process.server import serving
from elastic_images.storage.client import StorageClient
from elastic_images.storage.service import build
from elastic_images.web.app import WebServices, create_app


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """Web's app with accounts ann, bob and root, and images in a storage app of its own."""
    settings = make_settings(data=tmp_path, max_image_bytes=100_000)
    engine = open_engine(settings.database)
    migrate(engine)
    engine.dispose()
    service = build(settings)
    folder = tmp_path / "accounts"
    folder.mkdir()
    with serving(service.wsgi) as bound, accounts_of(folder, ann="user", bob="user", root="admin") as accounts:
        service.start(bound)
        http = InternalClient(settings.internal_token)
        storage, guard = StorageClient(http, [f"http://{bound.address}"]), Guard(accounts, settings)
        fakes, pool = FakeImages(), FakePool()
        plane = FakePlane(fakes)
        app: Flask = create_app(WebServices(images=storage, pool=pool, plane=plane, guard=guard), settings)
        yield Web(app, accounts, guard, fakes, pool, plane)
        http.close()
    service.stop()


def put(web: Web, key: str, seed: int = 0, user: str = "ann") -> None:
    answer = web.client().put(f"/api/images/{key}", data=picture(seed=seed), headers=web.auth(user))
    assert answer.status_code in (200, 201), answer.text


def delete(web: Web, key: str, user: str = "ann") -> None:
    assert web.client().delete(f"/api/images/{key}", headers=web.auth(user)).status_code == 204


def entries(web: Web, headers: dict[str, str] | None = None, query: str = "") -> list[dict[str, Any]]:
    answer = web.client().get(f"/api/trash{query}", headers=headers or web.auth())
    assert check(answer, "GET", "/api/trash") == 200
    found: list[dict[str, Any]] = answer.get_json()["entries"]
    return found


def restore(web: Web, body: object, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    answer = web.client().post("/api/trash/restore", json=body, headers=headers or web.auth())
    assert check(answer, "POST", "/api/trash/restore") == 200
    found: list[dict[str, Any]] = answer.get_json()["results"]
    return found


def sha256(web: Web, key: str) -> str | None:
    answer = web.client().get(f"/api/images/{key}", headers=web.auth())
    return answer.get_json()["sha256"] if answer.status_code == 200 else None


def test_a_deleted_image_comes_back_by_its_key_or_its_id(web: Web) -> None:
    put(web, "a/b c/ü", 1)
    first = sha256(web, "a/b c/ü")
    put(web, "a/b c/ü", 2)
    second = sha256(web, "a/b c/ü")
    delete(web, "a/b c/ü")
    old, new = entries(web)
    assert (old["key"], old["version"], old["owner"], old["size_bytes"]) == ("a/b c/ü", 1, "ann", len(picture(seed=1)))
    assert new["version"] == 2
    assert old["until"] - old["deleted_at"] == 7 * 86_400
    assert restore(web, {"key": "a/b c/ü"}) == [{"id": new["id"], "key": "a/b c/ü", "status": 200}]
    assert sha256(web, "a/b c/ü") == second
    assert restore(web, {"ids": [old["id"]]}) == [{"id": old["id"], "key": "a/b c/ü", "status": 200}]
    assert sha256(web, "a/b c/ü") == first
    (replaced,) = entries(web)
    assert replaced["version"] == 4


def test_each_entry_has_its_own_result(web: Web) -> None:
    for key in ("a", "b", "c"):
        put(web, key)
        delete(web, key)
    put(web, "theirs", user="bob")
    delete(web, "theirs", "bob")
    put(web, "b", 5, "bob")
    (a, b, c), (theirs,) = entries(web), entries(web, web.auth("bob"))
    results = restore(web, {"ids": [a["id"], b["id"], 99, theirs["id"], c["id"]]})
    assert [result["status"] for result in results] == [200, 403, 404, 404, 200]
    assert [result["key"] for result in results] == ["a", None, None, None, "c"]
    assert results[2]["detail"] == "There is no entry 99 in the trash."
    assert len(entries(web, web.admin)) == 2
    assert restore(web, {"key": "theirs"})[0]["status"] == 404
    assert restore(web, {"key": "theirs"}, web.admin)[0]["status"] == 200


def test_the_listing_has_pages_and_prefixes(web: Web) -> None:
    for number in range(5):
        put(web, f"x/{number}")
        delete(web, f"x/{number}")
    put(web, "y")
    delete(web, "y")
    first = web.client().get("/api/trash?prefix=x/&limit=3", headers=web.auth()).get_json()
    rest = web.client().get(f"/api/trash?prefix=x/&limit=3&cursor={first['next']}", headers=web.auth()).get_json()
    assert [entry["key"] for entry in first["entries"] + rest["entries"]] == [f"x/{number}" for number in range(5)]
    assert rest["next"] is None


def test_bad_calls_change_nothing(web: Web) -> None:
    put(web, "k")
    delete(web, "k")
    (entry,) = entries(web)
    bad: list[tuple[object, str]] = [
        ({}, "either ids or key"),
        ({"ids": [entry["id"]], "key": "k"}, "either ids or key"),
        ({"id": 1}, "Unknown name 'id'"),
        ([entry["id"]], "must be a JSON object"),
        ({"ids": []}, "ids must be a list"),
        ({"ids": entry["id"]}, "ids must be a list"),
        ({"ids": [True]}, "ids must be a list"),
        ({"ids": [entry["id"], str(entry["id"])]}, "ids must be a list"),
        ({"ids": [entry["id"]] * 2}, "ids must be a list"),
        ({"ids": list(range(1, 1002))}, "ids must be a list"),
        ({"ids": [2**53 + 1]}, "ids must be a list"),
        ({"key": "a//b"}, "key"),
        ({"key": 7}, "key must be a string"),
        ({"key": None}, "key is missing"),
    ]
    for body, words in bad:
        answer = web.client().post("/api/trash/restore", json=body, headers=web.auth())
        assert check(answer, "POST", "/api/trash/restore") == 400, body
        assert words in answer.get_json()["detail"]
    for query in ("?cursor=x", "?limit=0", f"?prefix={'x' * 256}"):
        assert check(web.client().get(f"/api/trash{query}", headers=web.auth()), "GET", "/api/trash") == 400
    for headers, expected in ((web.auth(scope="read"), 403), ({}, 401)):
        answer = web.client().post("/api/trash/restore", json={"key": "k"}, headers=headers)
        assert check(answer, "POST", "/api/trash/restore") == expected
    assert check(web.client().get("/api/trash"), "GET", "/api/trash") == 401
    purge = web.client().post("/api/trash/purge", json={}, headers=web.auth())
    assert check(purge, "POST", "/api/trash/purge") == 403
    purge = web.client().post("/api/trash/purge", json={"prefix": 5}, headers=web.admin)
    assert check(purge, "POST", "/api/trash/purge") == 400
    assert [one["id"] for one in entries(web)] == [entry["id"]]
    assert sha256(web, "k") is None


def test_an_administrator_purges_a_prefix(web: Web) -> None:
    for key in ("x/1", "x/2", "y"):
        put(web, key)
        delete(web, key)
    answer = web.client().post("/api/trash/purge", json={"prefix": "x/"}, headers=web.admin)
    assert check(answer, "POST", "/api/trash/purge") == 200
    assert answer.get_json() == {"purged": 2}
    assert [entry["key"] for entry in entries(web)] == ["y"]
    assert restore(web, {"key": "x/1"})[0]["status"] == 404


def test_storage_is_asked_no_more_once_it_does_not_answer(web: Web) -> None:
    """The first entry takes the time; what the others' state is nobody knows."""
    web.images.fail = Unavailable("No answer.")
    services = WebServices(images=web.images, pool=web.pool, plane=web.plane, guard=web.guard)
    client = create_app(services, make_settings(data=Path("unused"))).test_client()
    answer = client.post("/api/trash/restore", json={"ids": [1, 2, 3]}, headers=web.auth()).get_json()
    assert [(one["id"], one["status"]) for one in answer["results"]] == [(1, 503), (2, 503), (3, 503)]
    assert web.images.waiting.acquire(blocking=False)
    assert not web.images.waiting.acquire(blocking=False)


# ---- Pages ----


def form_token(text: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', text)
    assert found is not None
    return found[1]


def test_a_deletion_is_undone_in_the_notice(web: Web) -> None:
    browser, key = web.browser(), "a b/<ü>&"
    put(web, "a%20b/%3C%C3%BC%3E%26")
    token = form_token(browser.get("/upload").text)
    gone = browser.post("/delete/a%20b/%3C%C3%BC%3E%26", data={"form_token": token})
    page = browser.get(gone.headers["Location"])
    assert 'action="/trash/undo"' in page.text
    assert 'name="key" value="a b/&lt;ü&gt;&amp;"' in page.text
    back = browser.post("/trash/undo", data={"form_token": token, "key": key})
    assert (back.status_code, back.headers["Location"]) == (303, "/view/a%20b/%3C%C3%BC%3E%26?done=restored")
    assert "Image restored." in browser.get(back.headers["Location"]).text
    again = browser.post("/trash/undo", data={"form_token": token, "key": key})
    assert again.status_code == 404
    assert "done=deleted&amp;undo" not in browser.get("/?undo=x").text
    assert "/trash/undo" not in browser.get("/?undo=x").text


def test_an_undo_never_replaces_a_newer_image(web: Web) -> None:
    browser = web.browser()
    put(web, "k", 1)
    delete(web, "k")
    put(web, "k", 2)
    newer = sha256(web, "k")
    answer = browser.post("/trash/undo", data={"form_token": form_token(browser.get("/upload").text), "key": "k"})
    assert answer.status_code == 412
    assert "There is an image under this key again." in answer.text
    assert sha256(web, "k") == newer


def test_forms_of_the_trash_need_their_token(web: Web) -> None:
    put(web, "k")
    delete(web, "k")
    (entry,) = entries(web)
    for path, data in (("/trash/undo", {"key": "k"}), ("/trash/restore", {"id": str(entry["id"])})):
        browser = web.browser()
        browser.environ_base.pop("HTTP_ORIGIN")
        assert browser.post(path, data=data).status_code == 403
        foreign = web.browser().post(path, data=data, headers={"Origin": "http://evil.example"})
        assert foreign.status_code == 403
        assert web.client().post(path, data=data, headers=BROWSER).headers["Location"].startswith("/login")
    assert sha256(web, "k") is None


def test_the_page_lists_what_one_may_restore(web: Web) -> None:
    browser = web.browser()
    assert "The trash is empty" in browser.get("/trash").text
    for number in range(51):
        put(web, f"x/{number:02}")
        delete(web, f"x/{number:02}")
    put(web, "theirs", user="bob")
    delete(web, "theirs", "bob")
    page = browser.get("/trash")
    assert page.status_code == 200
    assert "x/49" in re.sub(r"<[^>]*>", "", page.text)
    assert "theirs" not in page.text
    assert page.text.count("Restore</button>") == 50
    follow = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert follow is not None
    last = browser.get(follow[1].replace("&amp;", "&"))
    assert last.text.count("Restore</button>") == 1
    entry = re.search(r'name="id" value="(\d+)"', last.text)
    assert entry is not None
    back = browser.post("/trash/restore", data={"form_token": form_token(last.text), "id": entry[1]})
    assert back.headers["Location"] == "/view/x/50?done=restored"
    assert sha256(web, "x/50")
    for bad in ("", "x", "9" * 30, "-1"):
        answer = browser.post("/trash/restore", data={"form_token": form_token(last.text), "id": bad})
        assert answer.status_code == 400
    assert browser.get("/trash?prefix=y").text.count("No results") == 1
    assert web.client().post("/login", data={"name": "ann", "password": PASSWORD}).status_code == 303


# ---- The command line ----


@pytest.fixture
def address(web: Web, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving(web.app) as bound:
        monkeypatch.setenv("ELASTIC_IMAGES_URL", f"http://{bound.address}")
        monkeypatch.setenv("ELASTIC_IMAGES_TOKEN", web.admin["Authorization"].removeprefix("Bearer "))
        yield bound.address


def test_the_command_line_lists_restores_and_purges(web: Web, address: str) -> None:
    assert address
    for key in ("x/1", "x/2", "y"):
        put(web, key)
        delete(web, key)
    listed = run_json("trash", "ls", "x/")["entries"]
    assert [entry["key"] for entry in listed] == ["x/1", "x/2"]
    shown = run("trash", "ls").stdout.splitlines()
    assert len(shown) == 4
    assert shown[1].split()[:3] == [str(listed[0]["id"]), "x/1", "1"]
    assert run_json("trash", "restore", "y")["restored"][0]["key"] == "y"
    assert run("trash", "restore", "--id", str(listed[0]["id"])).stdout == "x/1\n"
    assert sha256(web, "x/1")
    gone = run("trash", "restore", "y", "--json")
    assert gone.exit_code == 3
    assert "There is no image 'y' in the trash." in gone.stdout
    assert run("trash", "restore").exit_code == run("trash", "restore", "y", "--id", "1").exit_code == 2
    refused = run("trash", "purge")
    assert refused.exit_code == 2
    assert "add --yes" in refused.stderr
    assert run_json("trash", "purge", "x/", "--yes") == {"purged": 1}
    assert run("trash", "purge", "--yes").stdout == "0 images purged\n"
    assert run_json("trash", "ls") == {"entries": []}
