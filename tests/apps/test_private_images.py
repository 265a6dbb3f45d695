"""A private image never leaves by web: each way out, for somebody else and for a visitor, on one running system.

To whom it is not visible it does not exist: whatever is asked for it is answered as for a key that was never used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from testing.storage_parts import picture
from tests.apps.whole_web import WholeWeb, whole_web
from tests.unit.cli.support import run
from werkzeug.test import TestResponse

from elastic_images.core.keys import quote_key

SECRET, UNKNOWN = "albums/b", "albums/x"
"""Ann's private image between public ones, and a key that was never used."""
FORMER = "albums/deleted"
USERS = ("bob", "visitor")
BODY = picture(seed=7)


@dataclass(frozen=True)
class System(WholeWeb):
    """With the private image."""

    sha256: str


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with whole_web(tmp_path_factory.mktemp("system")) as web:
        for number, key in enumerate(("albums/a", "albums/c", "albums/d")):
            assert web.ask("ann", "PUT", f"/api/images/{key}", data=picture(seed=number)).status_code == 201
        private = {"X-Visibility": "private"}
        for key in (SECRET, FORMER):
            hidden = web.ask("ann", "PUT", f"/api/images/{key}", data=BODY, headers=private)
            assert hidden.status_code == 201
        assert web.ask("ann", "DELETE", f"/api/images/{FORMER}").status_code == 204
        yield System(web.client, web.url, web.tokens, hidden.get_json()["sha256"])


@pytest.fixture(params=USERS)
def who(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def as_unknown(answer: TestResponse, key: str = SECRET) -> tuple[int, dict[str, str], str]:
    """An answer without what differs from request to request, and without the key that was asked for."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("X-Request-Id", "Date")}
    text = re.sub(r"urn:request:\w+", "", answer.get_data(as_text=True))
    for written in (quote_key(key), quote_key(quote_key(key)), key):
        text = text.replace(written, "KEY")
        headers = {name: value.replace(written, "KEY") for name, value in headers.items()}
    return answer.status_code, headers, text


Ask = Callable[[System, str, str], TestResponse]
ONE_IMAGE: dict[str, Ask] = {
    "metadata": lambda system, who, key: system.ask(who, "GET", f"/api/images/{key}"),
    "head": lambda system, who, key: system.ask(who, "HEAD", f"/api/images/{key}"),
    "delete": lambda system, who, key: system.ask(who, "DELETE", f"/api/images/{key}"),
    "delete if": lambda system, who, key: system.ask(who, "DELETE", f"/api/images/{key}", headers={"If-Match": '"x"'}),
    "hide": lambda system, who, key: system.ask(who, "PATCH", f"/api/images/{key}", json={"visibility": "public"}),
    "rename": lambda system, who, key: system.ask(who, "PATCH", f"/api/images/{key}", json={"key": "mine"}),
    "steal": lambda system, who, key: system.ask(
        who, "PATCH", f"/api/images/{key}", json={"key": "mine", "visibility": "public"}
    ),
    "batch": lambda system, who, key: system.ask(
        who,
        "POST",
        "/api/images/batch",
        json={"operations": [{"op": "move", "key": key, "to": "mine"}]},
    ),
    "course key": lambda system, who, key: system.ask(who, "POST", f"/api/key/{key}"),
    "view": lambda system, who, key: system.look(who, f"/view/{key}"),
    "view of a listing": lambda system, who, key: system.look(who, f"/view/{key}?prefix=albums/&ask=1"),
    "delete page": lambda system, who, key: system.look(who, f"/delete/{key}"),
    "page delete": lambda system, who, key: system.look(who, f"/delete/{key}", method="POST"),
    "page visibility": lambda system, who, key: system.look(
        who, f"/visibility/{key}", method="POST", data={"visibility": "public"}
    ),
    "page rename": lambda system, who, key: system.look(who, f"/rename/{key}", method="POST", data={"key": "mine"}),
    "restore": lambda system, who, key: system.ask(who, "POST", "/api/trash/restore", json={"key": key}),
    "bytes": lambda system, who, key: system.ask(who, "GET", f"/images/{key}"),
    "head of the bytes": lambda system, who, key: system.ask(who, "HEAD", f"/images/{key}"),
    "rendition": lambda system, who, key: system.ask(who, "GET", f"/images/{key}?w=320&format=auto"),
    "immutable": lambda system, who, key: system.ask(who, "GET", f"/images/{key}?v={system.sha256[:12]}"),
    "range": lambda system, who, key: system.ask(who, "GET", f"/images/{key}", headers={"Range": "bytes=0-9"}),
    "condition": lambda system, who, key: system.ask(
        who, "GET", f"/images/{key}", headers={"If-None-Match": f'"{system.sha256}"'}
    ),
    "failed condition": lambda system, who, key: system.ask(who, "GET", f"/images/{key}", headers={"If-Match": '"x"'}),
    "navigation": lambda system, who, key: system.look(who, f"/images/{key}"),
}


@pytest.mark.parametrize("way", ONE_IMAGE)
def test_it_does_not_exist(system: System, who: str, way: str) -> None:
    ask = ONE_IMAGE[way]
    secret, unknown = ask(system, who, SECRET), ask(system, who, UNKNOWN)
    assert as_unknown(secret) == as_unknown(unknown, UNKNOWN)
    assert system.sha256[:12] not in str(secret.headers) + secret.get_data(as_text=True)
    assert system.ask("ann", "GET", f"/api/images/{SECRET}").get_json()["visibility"] == "private"


LISTINGS: dict[str, Ask] = {
    "list": lambda system, who, _key: system.ask(who, "GET", "/api/images"),
    "prefix": lambda system, who, key: system.ask(who, "GET", f"/api/images?prefix={key[:8]}"),
    "visibility": lambda system, who, _key: system.ask(who, "GET", "/api/images?visibility=private"),
    "list_keys": lambda system, who, _key: system.ask(who, "POST", "/api/list_keys"),
    "gallery": lambda system, who, _key: system.look(who, "/"),
    "search": lambda system, who, key: system.look(who, f"/?prefix={key[:7]}"),
    "neighbours": lambda system, who, _key: system.look(who, "/view/albums/a?prefix=albums/&order=key"),
    "next": lambda system, who, _key: system.look(who, "/view/albums/c?order=key"),
    "newest": lambda system, who, _key: system.look(who, "/view/albums/d"),
    "metrics": lambda system, who, _key: system.ask(who, "GET", "/metrics"),
    "openapi": lambda system, who, _key: system.ask(who, "GET", "/openapi.json"),
    "trash": lambda system, who, _key: system.ask(who, "GET", "/api/trash"),
    "trash page": lambda system, who, _key: system.look(who, "/trash"),
}


@pytest.mark.parametrize("way", LISTINGS)
def test_it_is_in_no_list(system: System, who: str, way: str) -> None:
    answer = LISTINGS[way](system, who, SECRET)
    assert answer.status_code == 200
    for word in (SECRET, FORMER, system.sha256, system.sha256[:12]):
        assert word not in answer.get_data(as_text=True)
    # Its owner and administrators have it where it belongs.
    if way in ("list", "prefix", "list_keys", "visibility"):
        for other in ("ann", "root"):
            assert SECRET in LISTINGS[way](system, other, SECRET).get_data(as_text=True)


def test_pages_of_a_listing_are_full_without_it(system: System, who: str) -> None:
    keys, cursor = [], ""
    while cursor is not None:
        page = system.ask(who, "GET", f"/api/images?prefix=albums/&limit=1&cursor={cursor}").get_json()
        assert len(page["images"]) == 1
        keys.append(page["images"][0]["key"])
        cursor = page["next"]
    assert keys == ["albums/a", "albums/c", "albums/d"]


def test_digests_do_not_find_it(system: System, who: str) -> None:
    asked = {"digests": [system.sha256]}
    assert system.ask(who, "POST", "/api/images/have", json=asked).get_json() == {"have": {}}
    assert system.ask("ann", "POST", "/api/images/have", json=asked).get_json() == {"have": {system.sha256: SECRET}}


def test_its_key_is_taken_and_nothing_more_is_said(system: System) -> None:
    """That a key is taken is all that storing under it, or renaming to it, may tell."""
    system.ask("bob", "PUT", "/api/images/bobs", data=picture(seed=30))
    refused = [
        system.ask("bob", "PUT", f"/api/images/{SECRET}", data=picture(seed=31)),
        system.ask("bob", "PUT", f"/api/images/{SECRET}", data=BODY, headers={"If-Match": f'"{system.sha256}"'}),
        system.ask("bob", "PUT", f"/api/images/{SECRET}", data=BODY, headers={"If-None-Match": "*"}),
        system.ask("bob", "PATCH", "/api/images/bobs", json={"key": SECRET}),
        system.look("bob", "/rename/bobs", method="POST", data={"key": SECRET}),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 403, 409, 409]
    for answer in refused:
        assert system.sha256 not in str(answer.headers) + answer.get_data(as_text=True)
        assert "ann" not in re.sub(r"<[^>]*>", "", answer.get_data(as_text=True)).split()
    assert system.ask("ann", "GET", f"/api/images/{SECRET}").get_json()["sha256"] == system.sha256


def test_members_see_what_is_for_members_and_visitors_do_not(system: System) -> None:
    system.ask("ann", "PUT", "/api/images/team", data=picture(seed=40), headers={"X-Visibility": "members"})
    assert system.ask("bob", "GET", "/api/images/team").status_code == 200
    assert "team" in system.ask("bob", "POST", "/api/list_keys").get_json()["keys"]
    assert system.ask("visitor", "GET", "/api/images/team").status_code == 404
    assert system.ask("visitor", "POST", "/api/key/team").get_json()["error"]["code"] == 404


def test_the_export_of_another_user_is_without_it(system: System, tmp_path: Path) -> None:
    exported = {}
    for user in ("bob", "ann"):
        target = tmp_path / user
        result = run("export", str(target), "--prefix", "albums/", "--url", system.url, "--token", system.tokens[user])
        assert result.exit_code == 0, result.output
        exported[user] = sorted(file.read_bytes() for file in (target / "images").rglob("*") if file.is_file())
    assert BODY in exported["ann"]
    assert BODY not in exported["bob"]
    assert len(exported["ann"]) == len(exported["bob"]) + 1


def test_where_visitors_may_see_nothing_they_have_to_log_in_and_users_do_not_see_it(tmp_path: Path) -> None:
    with whole_web(tmp_path, anonymous="none") as web:
        hidden = web.ask("ann", "PUT", f"/api/images/{SECRET}", data=BODY, headers={"X-Visibility": "private"})
        assert hidden.status_code == 201
        for key in (SECRET, UNKNOWN):
            led = web.look("visitor", f"/images/{key}")
            assert (led.status_code, led.headers["Location"]) == (303, f"/login?next=/images/{key}")
            assert web.ask("visitor", "GET", f"/images/{key}").status_code == 401
            assert web.ask("bob", "GET", f"/images/{key}").status_code == 404
            assert "Image not found" in web.look("bob", f"/images/{key}").text
        assert web.look("ann", f"/images/{SECRET}").data == BODY


def test_a_signed_link_that_opens_nothing_has_a_page(system: System) -> None:
    wanted = {"key": SECRET, "params": {"w": "320"}, "expires_in": 60}
    link = system.ask("ann", "POST", "/api/links", json=wanted).get_json()["url"]
    path = link[link.index("/images/") :]
    assert system.look("visitor", path).mimetype == "image/png"
    for changed in (path.replace("w=320", "w=640"), path.replace(quote_key(SECRET), quote_key(UNKNOWN))):
        refused = system.look("visitor", changed)
        assert (refused.status_code, refused.headers["Cache-Control"]) == (403, "no-store")
        assert "This link doesn’t work" in refused.text
        assert system.ask("visitor", "GET", changed).mimetype == "application/problem+json"
