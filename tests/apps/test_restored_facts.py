"""Restoring an image with its facts: who may, what storage keeps, what is refused before anything changes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from testing.settings import make_settings
from tests.apps.storage_support import served_storage
from tests.apps.web_support import LIMIT, Web, open_web, picture
from werkzeug.test import TestResponse

from elastic_images.core.errors import Forbidden, InvalidRequest, NotFound
from elastic_images.core.image_facts import Actor, ImageMetadata
from elastic_images.core.restored_facts import RestoredFacts
from elastic_images.http.internal_client import InternalClient
from elastic_images.storage.client import StorageClient

GOOD: dict[str, Any] = {"owner": "ann", "created_at": 1.6e9, "updated_at": 1.7e9 + 0.25, "version": 3}
ANN = Actor(1, "ann")
ADMIN = Actor(3, "root", admin=True)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with open_web(tmp_path) as web:
        yield web


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[StorageClient]:
    settings = make_settings(data=tmp_path)
    with served_storage(settings) as (_service, bound):
        http = InternalClient(settings.internal_token)
        yield StorageClient(http, [f"http://{bound.address}"])
        http.close()


def put(
    web: Web, headers: dict[str, str], *, client: FlaskClient | None = None, text: str | None = None, **changes: Any
) -> TestResponse:
    sent = json.dumps(GOOD | changes) if text is None else text
    asked = client or web.client()
    return asked.put("/api/images/k1", data=picture(), headers=headers | {"X-Keep-Facts": sent})


# ---- web ----


def test_an_administrator_restores_an_image(web: Web) -> None:
    answer = put(web, web.admin)
    assert answer.status_code == 201, answer.text
    assert {name: answer.get_json()[name] for name in GOOD} == GOOD
    ann = web.accounts.users.get("ann")
    assert web.images.stored["k1"].owner_id == ann.id


@pytest.mark.parametrize(("owner", "kept"), [("ANN", "ann"), ("stranger", "stranger"), (None, None)])
def test_an_owner_is_found_by_name_or_stays_one(web: Web, owner: str | None, kept: str | None) -> None:
    assert put(web, web.admin, owner=owner).get_json()["owner"] == kept
    known = web.accounts.users.get("ann").id if kept == "ann" else None
    assert web.images.stored["k1"].owner_id == known


@pytest.mark.parametrize(
    ("user", "scope", "status"),
    [("ann", "write", 403), ("root", "write", 403), ("root", "read", 403), ("root", "admin", 201)],
)
def test_a_scripts_token_must_have_the_scope_admin(web: Web, user: str, scope: str, status: int) -> None:
    assert put(web, web.auth(user, scope)).status_code == status
    assert ("k1" in web.images.stored) == (status == 201)


@pytest.mark.parametrize(("user", "status"), [("ann", 403), ("root", 201)])
def test_a_session_must_be_an_administrators(web: Web, user: str, status: int) -> None:
    browser = web.browser(user)
    assert put(web, {"Origin": "http://localhost"}, client=browser).status_code == status


@pytest.mark.parametrize(("mode", "status"), [("none", 401), ("read", 401), ("write", 403), ("admin", 201)])
def test_a_visitor_may_where_everything_is_open(tmp_path: Path, mode: str, status: int) -> None:
    with open_web(tmp_path, anonymous=mode) as web:
        assert put(web, {}).status_code == status
        assert ("k1" in web.images.stored) == (status == 201)


@pytest.mark.parametrize(
    "changes",
    [{"owner": "anonymous"}, {"owner": "a b"}, {"version": 0}, {"updated_at": 1e12}, {"extra": 1}, {"text": "{"}],
    ids=str,
)
def test_bad_facts_are_refused(web: Web, changes: dict[str, Any]) -> None:
    answer = put(web, web.admin, **changes)
    assert answer.status_code == 400, answer.text
    assert answer.get_json(force=True)["type"].endswith("/invalid-request")
    assert web.images.stored == {}


def test_the_header_does_not_open_what_is_closed_otherwise(web: Web) -> None:
    assert put(web, {"Sec-Fetch-Site": "cross-site"}).status_code == 403
    too_large = web.client().put(
        "/api/images/k1", data=bytes(LIMIT + 1), headers=web.admin | {"X-Keep-Facts": json.dumps(GOOD)}
    )
    assert too_large.status_code == 413


# ---- storage ----


def store(storage: StorageClient, kept: RestoredFacts | None, actor: Actor = ADMIN) -> tuple[bool, ImageMetadata]:
    return storage.put("k1", io.BytesIO(picture()), len(picture()), actor=actor, kept=kept)


def test_storage_keeps_what_it_is_told(storage: StorageClient) -> None:
    created, facts = store(storage, RestoredFacts("zoë", 1.6e9, 1.7e9 + 0.1, 12))
    assert created
    assert (facts["owner"], facts["created_at"], facts["updated_at"], facts["version"]) == (
        "zoë",
        1.6e9,
        1.7e9 + 0.1,
        12,
    )
    assert storage.metadata("k1", actor=None) == facts
    entry = storage.get_entry("k1")
    assert (entry.version, entry.updated_at) == (12, 1.7e9 + 0.1)
    with pytest.raises(Forbidden):
        store(storage, None, ANN)


def test_storage_gives_a_known_owner_his_rights(storage: StorageClient) -> None:
    store(storage, RestoredFacts("ann", 1.6e9, 1.7e9, 2, owner_id=1))
    created, facts = store(storage, None, ANN)
    assert not created
    assert (facts["owner"], facts["created_at"], facts["version"]) == ("ann", 1.6e9, 3)


def test_storage_refuses_them_from_others_and_stores_nothing(storage: StorageClient) -> None:
    with pytest.raises(Forbidden):
        store(storage, RestoredFacts(None, 1.0, 2.0, 1), ANN)
    with pytest.raises(InvalidRequest):
        store(storage, RestoredFacts(None, 1.0, 2.0, 0))
    with pytest.raises(NotFound):
        storage.metadata("k1", actor=None)
    usage = storage.usage()
    assert (usage["images"], usage["bytes"]) == (0, 0)


def test_a_key_that_was_used_goes_on_from_there(storage: StorageClient) -> None:
    _, first = store(storage, None)
    storage.delete("k1", actor=ADMIN)
    _, facts = store(storage, RestoredFacts("zoë", 1.6e9, 1.7e9, 1))
    assert facts["version"] == 3
    assert facts["updated_at"] >= first["updated_at"] + 2
    assert (facts["owner"], facts["created_at"]) == ("zoë", 1.6e9)
