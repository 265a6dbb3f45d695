"""Renames, visibility, batches and digests over HTTP, by the client that the other apps use."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from testing.settings import make_settings
from testing.storage_parts import ADMIN, ANN, BOB, NOBODY, picture, write_id
from tests.apps.storage_support import served_storage

from elastic_images.core.errors import (
    Conflict,
    ElasticImagesError,
    Forbidden,
    InvalidKey,
    InvalidRequest,
    LinkUsed,
    NotFound,
    PreconditionFailed,
    TooLarge,
)
from elastic_images.core.image_facts import Actor, ImageMetadata
from elastic_images.core.upload_nonce import UploadNonce
from elastic_images.core.visibility import VISIBILITIES, may_see, parse_visibility
from elastic_images.database.engine import open_engine
from elastic_images.http.internal_client import InternalClient, decoded
from elastic_images.pool.control_listener import ControlListener
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import Member
from elastic_images.storage.client import StorageClient

EVERYBODY = (NOBODY, BOB, ANN, ADMIN)


@dataclass
class Storage:
    """A storage app, and a near cache that it tells of changes."""

    client: StorageClient
    http: InternalClient
    url: str
    told: list[list[str]]

    def put(self, key: str, seed: int = 0, actor: Actor = ANN, **options: Any) -> ImageMetadata:
        body = picture(seed=seed)
        return self.client.put(key, io.BytesIO(body), len(body), actor=actor, **options)[1]

    def keys(self, actor: Actor | None, prefix: str) -> list[str]:
        return [image["key"] for image in self.client.page(actor=actor, prefix=prefix, limit=1000)["images"]]


class NotingCache:
    """A near cache that notes what it is told."""

    incarnation = "a" * 32

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    def invalidate_keys(self, incarnation: str, keys: list[str]) -> int:
        assert incarnation == self.incarnation
        self.told.append(list(keys))
        return len(keys)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    settings = make_settings(data=tmp_path_factory.mktemp("storage"), default_visibility="members")
    cache = NotingCache()
    listener = ControlListener("127.0.0.1", 0, settings.internal_token, cache)  # type: ignore[arg-type]
    listener.start()
    with served_storage(settings) as (_, bound):
        engine = open_engine(settings.database)
        PoolStore(engine).register(Member(cache.incarnation, "web-1", "web", f"127.0.0.1:{listener.port}", ""))
        engine.dispose()
        http = InternalClient(settings.internal_token)
        url = f"http://{bound.address}"
        storage = Storage(StorageClient(http, [url]), http, url, cache.told)
        storage.put("first")  # starts what stays: the imaging broker, a connection to the cache
        yield storage
        http.close()
    listener.stop()


_NUMBERS = itertools.count()


@pytest.fixture
def prefix() -> str:
    """What the keys of a test begin with."""
    return f"{next(_NUMBERS)}-"


def test_a_rename_moves_the_image_and_tells_caches_of_both_keys(storage: Storage, prefix: str) -> None:
    key, to = f"{prefix}a/move", f"{prefix}b/ä visibility"
    before = storage.put(key)
    storage.told.clear()
    moved = storage.client.move(key, to, actor=ANN)
    assert storage.told == [[to, key]]
    assert moved == storage.client.metadata(to, actor=ANN)
    assert moved["version"] == before["version"] + 1
    assert moved | {name: before[name] for name in ("key", "version", "updated_at")} == before
    assert storage.client.get_entry(to).body == picture()
    with pytest.raises(NotFound):
        storage.client.get_entry(key)
    with pytest.raises(NotFound):
        storage.client.metadata(key, actor=None)
    assert storage.client.newest_in_trash(key, actor=ADMIN) is None
    both = storage.client.move(to, key, actor=ANN, visibility="private", if_match=before["etag"])
    assert (both["visibility"], both["version"]) == ("private", moved["version"] + 1)
    entry = storage.client.get_entry(key)
    assert (entry.visibility, entry.owner_id) == ("private", 1)


def test_refusals_of_renames_are_precise(storage: Storage, prefix: str) -> None:
    key, hidden = f"{prefix}a", f"{prefix}hidden"
    storage.put(key, visibility="public")
    storage.put(hidden, actor=BOB, visibility="private")
    state = [storage.client.metadata(one, actor=None) for one in (key, hidden)]
    refusals: list[tuple[str, str, Actor, dict[str, str], type[ElasticImagesError]]] = [
        (key, key, ANN, {}, InvalidRequest),
        (key, hidden, ANN, {}, Conflict),
        (key, f"{prefix}b", BOB, {}, Forbidden),
        (key, f"{prefix}b", NOBODY, {}, Forbidden),
        (hidden, f"{prefix}b", ANN, {}, NotFound),
        (hidden, f"{prefix}b", ANN, {"if_match": '"other"'}, NotFound),
        (f"{prefix}none", f"{prefix}b", ANN, {}, NotFound),
        (key, f"{prefix}b", ANN, {"if_match": '"other"'}, PreconditionFailed),
        (key, f"{prefix}b", ANN, {"if_none_match": "*"}, PreconditionFailed),
        (key, f"{prefix}b\u202e", ANN, {}, InvalidKey),
        (key, f"{prefix}b/", ANN, {}, InvalidKey),
    ]
    storage.told.clear()
    for old, new, actor, conditions, error in refusals:
        with pytest.raises(error) as refused:
            storage.client.move(old, new, actor=actor, **conditions)  # type: ignore[arg-type]
        assert type(refused.value) is error
    assert [storage.client.metadata(one, actor=None) for one in (key, hidden)] == state
    assert storage.told == []


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("visibility", {}, "public, members or private"),
        ("visibility", {"visibility": None}, "public, members or private"),
        ("visibility", {"visibility": "unlisted"}, "public, members or private, not 'unlisted'"),
        ("visibility", {"visibility": "public", "to": "x"}, "Unknown name 'to'"),
        ("move", {}, "to is missing"),
        ("move", {"to": 7}, "to must be a string"),
        ("move", {"to": "x", "visibility": "unlisted"}, "public, members or private, not 'unlisted'"),
        ("move", {"to": "x\u202e"}, "direction of text"),
        ("move", [], "must be a JSON object"),
    ],
    ids=str,
)
def test_malformed_bodies_are_refused(storage: Storage, prefix: str, path: str, body: object, words: str) -> None:
    before = storage.put(f"{prefix}k")
    headers = {"X-Write-Id": write_id(), "X-Actor": json.dumps(ANN.to_json())}
    with pytest.raises(InvalidRequest, match=words):
        storage.http.request("POST", f"{storage.url}/internal/images/{prefix}k/{path}", json=body, headers=headers)
    assert storage.client.metadata(f"{prefix}k", actor=None) == before


def test_a_change_of_visibility_is_a_write(storage: Storage, prefix: str) -> None:
    key = f"{prefix}k"
    facts = storage.put(key)
    assert facts["visibility"] == "members", "by DEFAULT_VISIBILITY"
    for visibility in (*VISIBILITIES, "private"):
        storage.told.clear()
        changed = storage.client.set_visibility(key, parse_visibility(visibility), actor=ANN, if_match=facts["etag"])
        assert storage.told == [[key]]
        assert changed["visibility"] == visibility
        assert (changed["version"], changed["updated_at"] > facts["updated_at"]) == (facts["version"] + 1, True)
        assert storage.client.get_entry(key).visibility == visibility
        facts = changed
    for actor, error in ((BOB, NotFound), (NOBODY, NotFound)):
        with pytest.raises(error):
            storage.client.set_visibility(key, "public", actor=actor)
    with pytest.raises(PreconditionFailed):
        storage.client.set_visibility(key, "public", actor=ANN, if_match='"other"')


def test_every_reading_route_shows_what_the_actor_may_see(storage: Storage, prefix: str) -> None:
    images = {f"{prefix}{visibility}": visibility for visibility in VISIBILITIES}
    for key, visibility in images.items():
        storage.put(key, visibility=visibility)
    for actor in EVERYBODY:
        seen = sorted(key for key, visibility in images.items() if may_see(actor, visibility, 1))
        assert storage.keys(actor, prefix) == seen
        for visibility in VISIBILITIES:
            page = storage.client.page(actor=actor, prefix=prefix, visibility=visibility)["images"]
            assert [image["key"] for image in page] == [key for key in seen if images[key] == visibility]
        for key in images:
            asks: list[Callable[..., object]] = [storage.client.metadata, storage.client.neighbours]
            for ask in asks:
                if key in seen:
                    ask(key, actor=actor)
                    continue
                with pytest.raises(NotFound) as refused:
                    ask(key, actor=actor)
                assert str(refused.value) == f"There is no image {key!r}.", "as for a key that never was"
        beside = [storage.client.neighbours(key, actor=actor, prefix=prefix) for key in seen]
        assert [told["previous"] for told in beside] == [None, *seen[:-1]]
    assert storage.keys(None, prefix) == sorted(images)


def test_older_processes_of_ours_are_shown_what_is_public(storage: Storage, prefix: str) -> None:
    for visibility in VISIBILITIES:
        storage.put(f"{prefix}{visibility}", visibility=visibility)
    for older in ("2", ""):
        headers = {"X-Elastic-Images-Protocol": older}
        found = decoded(
            storage.http.request("GET", f"{storage.url}/internal/metadata?prefix={prefix}", headers=headers)
        )
        assert [image["key"] for image in found["images"]] == [f"{prefix}public"]
        for path in ("metadata", "neighbours"):
            with pytest.raises(NotFound):
                storage.http.request("GET", f"{storage.url}/internal/{path}/{prefix}private", headers=headers)


def test_a_batch_does_each_operation_by_itself(storage: Storage, prefix: str) -> None:
    names = ("gone", "old", "taken", "shown", "bobs", "hidden")
    gone, old, taken, shown, bobs, hidden = keys = [prefix + name for name in names]
    for key in keys:
        mine = key not in (bobs, hidden)
        storage.put(key, actor=ANN if mine else BOB, visibility="private" if key == hidden else "public")
    storage.told.clear()
    operations = [
        {"op": "delete", "key": gone},
        {"op": "move", "key": old, "to": f"{prefix}new"},
        {"op": "delete", "key": f"{prefix}none"},
        {"op": "move", "key": shown, "to": f"{prefix}shown2"},
        {"op": "visibility", "key": taken, "visibility": "private"},
        {"op": "visibility", "key": bobs, "visibility": "private"},
        {"op": "delete", "key": hidden},
    ]
    results = storage.client.batch(operations, actor=ANN)
    assert [(result["key"], result["status"]) for result in results] == [
        (gone, 204), (old, 200), (f"{prefix}none", 404), (shown, 200), (taken, 200), (bobs, 403), (hidden, 404),
    ]  # fmt: skip
    assert [result.get("detail", "") for result in results][5:] == [
        "This image belongs to somebody else.",
        f"There is no image {hidden!r}.",
    ]
    assert storage.told == [[gone, f"{prefix}new", old, f"{prefix}shown2", shown, taken]], "at once"
    assert storage.keys(ANN, prefix) == sorted([f"{prefix}new", f"{prefix}shown2", taken, bobs])
    assert storage.client.metadata(taken, actor=ANN)["visibility"] == "private"
    assert storage.client.newest_in_trash(gone, actor=ANN)
    assert storage.client.batch([{"op": "move", "key": taken, "to": bobs}], actor=ANN)[0]["status"] == 409
    assert storage.client.batch([], actor=ANN) == []


def test_a_repeated_batch_takes_effect_once(storage: Storage, prefix: str) -> None:
    storage.put(f"{prefix}a")
    storage.put(f"{prefix}b")
    body = {"operations": [
        {"op": "delete", "key": f"{prefix}a"},
        {"op": "move", "key": f"{prefix}b", "to": f"{prefix}c"},
        {"op": "visibility", "key": f"{prefix}none", "visibility": "public"},
    ]}  # fmt: skip
    headers = {"X-Write-Id": write_id(), "X-Actor": json.dumps(ANN.to_json())}

    def send() -> object:
        return decoded(storage.http.request("POST", f"{storage.url}/internal/batch", json=body, headers=headers))

    first = send()
    version = storage.client.metadata(f"{prefix}c", actor=ANN)["version"]
    assert send() == first
    assert storage.client.metadata(f"{prefix}c", actor=ANN)["version"] == version


def test_a_malformed_batch_changes_nothing(storage: Storage, prefix: str) -> None:
    facts = storage.put(f"{prefix}a")
    fine = {"op": "delete", "key": f"{prefix}a"}
    for wrong, error in (
        ([fine, {"op": "copy", "key": "b"}], InvalidRequest),
        ([fine, fine], InvalidRequest),
        ([fine, {"op": "delete", "key": "/"}], InvalidKey),
        (None, InvalidRequest),
        ([fine, *({"op": "delete", "key": f"k{number}"} for number in range(1000))], TooLarge),
    ):
        with pytest.raises(error):
            storage.client.batch(wrong, actor=ANN)
    assert storage.client.metadata(f"{prefix}a", actor=ANN) == facts


def test_a_thousand_operations_are_one_call(storage: Storage, prefix: str) -> None:
    storage.put(f"{prefix}0")
    operations = [{"op": "delete", "key": f"{prefix}{number}"} for number in range(1000)]
    results = storage.client.batch(operations, actor=ANN)
    assert [result["status"] for result in results] == [204] + [404] * 999


def test_digests_tell_which_images_of_ones_own_there_are(storage: Storage, prefix: str) -> None:
    mine, other = storage.put(f"{prefix}b", seed=901), storage.put(f"{prefix}a", seed=902, actor=BOB)
    digests = [mine["sha256"], other["sha256"], "0" * 64]
    assert storage.client.have(digests, actor=ANN) == {mine["sha256"]: f"{prefix}b"}
    assert storage.client.have(digests, actor=ADMIN) == {mine["sha256"]: f"{prefix}b", other["sha256"]: f"{prefix}a"}
    assert storage.client.have([], actor=ANN) == {}
    for wrong in ("", "0" * 63, "A" * 64, "0" * 64 + "\n"):
        with pytest.raises(InvalidRequest, match="64 lower-case"):
            storage.client.have([wrong], actor=ANN)
    with pytest.raises(TooLarge, match="at most 1,000"):
        storage.client.have(["0" * 64] * 1001, actor=ANN)


def test_a_restored_image_is_as_private_as_it_was(storage: Storage, prefix: str) -> None:
    key = f"{prefix}k"
    storage.put(key, visibility="private")
    storage.client.delete(key, actor=ANN)
    entry = storage.client.newest_in_trash(key, actor=ANN)
    assert entry is not None
    assert storage.client.newest_in_trash(key, actor=BOB) is None
    assert storage.client.restore(entry, actor=ANN)["visibility"] == "private"
    assert storage.keys(BOB, prefix) == []


def test_the_trash_shows_visitors_what_they_could_see(storage: Storage, prefix: str) -> None:
    for visibility in VISIBILITIES:
        storage.put(f"{prefix}{visibility}", actor=NOBODY, visibility=visibility)
        storage.client.delete(f"{prefix}{visibility}", actor=ADMIN)
    for actor, seen in ((NOBODY, ["public"]), (ANN, []), (ADMIN, sorted(VISIBILITIES))):
        entries = storage.client.trash(actor=actor, prefix=prefix)["entries"]
        assert [entry["key"] for entry in entries] == [prefix + visibility for visibility in seen]
        for visibility in VISIBILITIES:
            found = storage.client.newest_in_trash(prefix + visibility, actor=actor)
            assert (found is not None) == (visibility in seen)
    hidden = storage.client.newest_in_trash(f"{prefix}private", actor=ADMIN)
    assert hidden is not None
    with pytest.raises(NotFound):
        storage.client.restore(hidden, actor=NOBODY)


def test_an_upload_link_is_used_once(storage: Storage, prefix: str) -> None:
    nonce = UploadNonce(write_id(), 4_000_000_000)
    facts = storage.put(f"{prefix}k", upload_nonce=nonce)
    with pytest.raises(LinkUsed) as refused:
        storage.put(f"{prefix}k", seed=1, upload_nonce=nonce)
    assert (refused.value.status, refused.value.slug) == (409, "link-used")
    assert storage.client.metadata(f"{prefix}k", actor=None) == facts
