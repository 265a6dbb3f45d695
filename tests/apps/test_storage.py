"""The storage app over HTTP: by the client that the other apps use, and by hand what that would not send."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from testing.fault_proxy import answering, fault_proxy, losing_the_answer
from testing.photographs import photographs
from testing.settings import make_settings
from testing.storage_parts import picture, write_id
from testing.waiting import wait_for
from tests.apps.storage_support import served_storage

from elastic_images.core.errors import (
    BrokenImage,
    Conflict,
    ElasticImagesError,
    EmptyBody,
    Forbidden,
    IncompleteBody,
    InvalidKey,
    InvalidRequest,
    NotAnImage,
    NotFound,
    PreconditionFailed,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from elastic_images.core.image_facts import Actor, ImageMetadata
from elastic_images.database.engine import open_engine
from elastic_images.http.internal_client import InternalClient, decoded
from elastic_images.pool.control_listener import ControlListener
from elastic_images.pool.store import PoolStore
from elastic_images.pool.view import Member
from elastic_images.process.server import Bound
from elastic_images.settings import Settings
from elastic_images.storage.client import StorageClient
from elastic_images.storage.service import StorageService, build

ANN = Actor(1, "ann")
BOB = Actor(2, "bob")
ADMIN = Actor(3, "root", admin=True)
LIMIT = 400_000
NOTHING = {"images": 0, "bytes": 0, "trash_images": 0, "trash_bytes": 0, "damaged": 0, "lost": 0}


class Storage:
    """A storage app that serves."""

    def __init__(self, settings: Settings, service: StorageService, bound: Bound) -> None:
        self.settings = settings
        self.service = service
        self.address = bound.address
        self.url = f"http://{bound.address}"
        self.http = InternalClient(settings.internal_token)
        self.client = StorageClient(self.http, [self.url])

    def put(self, key: str, body: bytes, actor: Actor = ANN, **options: Any) -> tuple[bool, ImageMetadata]:
        return self.client.put(key, io.BytesIO(body), len(body), actor=actor, **options)

    def send(self, key: str, sent: bytes, headers: dict[str, str] | None = None) -> Any:
        """A PUT by hand: `sent` is the whole body."""
        length = str(max(len(sent) - 64, 0))
        standard = {"X-Image-Length": length, "X-Write-Id": write_id(), "X-Actor": json.dumps(ANN.to_json())}
        return self.http.request(
            "PUT", f"{self.url}/internal/images/{key}", body=sent, headers=standard | (headers or {})
        )

    def objects(self) -> list[str]:
        return [info.name for info in self.service._store.list()] + [p.name for p in self.service._store.partials()]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    settings = make_settings(data=tmp_path, max_image_bytes=LIMIT, max_image_pixels=1_000_000)
    with served_storage(settings) as (service, bound):
        storage = Storage(settings, service, bound)
        yield storage
        storage.http.close()


def with_digest(body: bytes) -> bytes:
    return body + hashlib.sha256(body).hexdigest().encode()


def test_photographs_go_in_and_come_out_byte_for_byte(storage: Storage) -> None:
    chosen = photographs(18)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda photograph: storage.put(photograph.name, photograph.body), chosen))
    for photograph in chosen:
        entry = storage.client.get_entry(photograph.name)
        assert entry.body == photograph.body
        assert (entry.content_type, entry.etag, entry.version) == (
            photograph.content_type,
            f'"{photograph.sha256}"',
            1,
        )
    assert storage.client.usage() == NOTHING | {"images": 18, "bytes": sum(len(one.body) for one in chosen)}


def actor_of(user_id: int, name: str) -> dict[str, str]:
    return {"X-Actor": json.dumps(Actor(user_id, name).to_json())}


def test_answers_about_an_image_say_who_may_see_it(storage: Storage) -> None:
    storage.put("mine", picture(), visibility="private")
    storage.put("everyones", picture(), Actor(None, "anonymous"))

    def told(key: str, method: str = "GET", query: str = "", **headers: str) -> tuple[int, str | None, str | None]:
        path = f"{storage.url}/internal/images/{key}{query}"
        answer = storage.http.request(method, path, headers=headers, accept=range(400, 600))
        found = answer.headers
        return answer.status, found.get("X-Image-Visibility"), found.get("X-Image-Owner")

    assert told("mine") == told("mine", "HEAD") == told("mine", query="?spec=w4") == (200, "private", "1")
    assert told("everyones") == (200, "public", None)
    assert told("mine", **actor_of(1, "ann")) == (200, "private", "1")
    assert told("nobodys") == (404, None, None)
    for older in ({"X-Elastic-Images-Protocol": "2"}, {"X-Elastic-Images-Protocol": ""}):
        for method, query in (("GET", ""), ("HEAD", ""), ("GET", "?spec=w4")):
            assert told("mine", method, query, **older) == (404, None, None)
        assert told("everyones", **older) == (200, "public", None)
    storage.put("mine", picture(seed=2))
    assert told("mine") == (200, "private", "1"), "replacing it keeps it private"
    for file in (storage.settings.data / "objects").glob("??/*"):
        file.write_bytes(b"x")
    assert told("mine")[0] == told("mine", query="?spec=w4")[0] == 500
    assert told("mine", **{"X-Elastic-Images-Protocol": "2"}) == (404, None, None)
    for query in ("", "?spec=w4"):
        assert told("mine", query=query, **actor_of(2, "bob")) == (404, None, None), "not even that it is damaged"
        assert told("mine", query=query, **actor_of(1, "ann"))[0] == 500
    assert told("mine", **{"X-Actor": "ann"})[0] == 400


def test_metadata_is_what_the_contract_says(storage: Storage) -> None:
    body = picture("GIF", 4)
    created, answered = storage.put("a/ä b.gif", body)
    assert created
    facts = storage.client.metadata("a/ä b.gif", actor=None)
    assert facts == answered
    assert list(facts) == [
        "key", "size_bytes", "content_type", "format", "width", "height", "stored_width", "stored_height",
        "orientation", "frames", "has_alpha", "has_location", "location_removed", "colour_profile", "taken_at",
        "thumbhash", "damaged_tail", "sha256", "etag", "version", "owner", "visibility", "created_at", "updated_at",
    ]  # fmt: skip
    digest = hashlib.sha256(body).hexdigest()
    assert (facts["sha256"], facts["etag"], facts["owner"]) == (digest, f'"{digest}"', "ann")
    assert storage.put("a/ä b.gif", picture("GIF", 5)) == (False, storage.client.metadata("a/ä b.gif", actor=None))


@pytest.mark.parametrize("size", [(24, 17), (300, 400)], ids=["at once", "in chunks"])
def test_the_headers_of_bytes(storage: Storage, size: tuple[int, int]) -> None:
    body = picture("BMP", size=size)
    _, facts = storage.put("k", body)
    for method in ("GET", "HEAD"):
        answer = storage.http.request(method, f"{storage.url}/internal/images/k")
        assert answer.data == (body if method == "GET" else b"")
        assert answer.headers["Content-Length"] == str(len(body))
        assert answer.headers["Content-Type"] == "image/bmp"
        assert answer.headers["ETag"] == facts["etag"]
        assert answer.headers["X-Image-Version"] == "1"
        assert float(answer.headers["X-Image-Updated"]) == facts["updated_at"]
        assert answer.headers["Last-Modified"].endswith(" GMT")


KEYS = [
    "k",
    "a/b/c",
    "with space",
    "ünï/çødé 图.png",
    "100%",
    "a%2Fb",
    "?#&=+;",
    "😀" * 255,
    "x" * 255,
    "..a",
    ".hidden",
]


def test_any_key_makes_the_round_trip(storage: Storage) -> None:
    for key in KEYS:
        round_trip(storage, key)


def round_trip(storage: Storage, key: str) -> None:
    storage.put(key, picture())
    assert storage.client.metadata(key, actor=None)["key"] == key
    assert storage.client.get_entry(key).body == picture()
    assert [image["key"] for image in storage.client.page(actor=None, prefix=key)["images"]] == [key]
    storage.client.delete(key, actor=ANN)
    with pytest.raises(NotFound):
        storage.client.metadata(key, actor=None)
    with pytest.raises(NotFound):
        storage.client.get_entry(key)


def test_texts_that_are_no_keys_are_refused(storage: Storage) -> None:
    for path in ["", "a//b", "a/%2E%2E/b", "%2E", "/a", "a/", "a%00b", "e%CC%81", "x" * 256]:
        with pytest.raises((InvalidKey, NotFound)):
            storage.http.request("GET", f"{storage.url}/internal/images/{path}")
        with pytest.raises(ElasticImagesError) as caught:
            storage.send(path, with_digest(picture()))
        assert caught.value.status in (400, 404, 405)
    assert storage.objects() == []


def test_the_client_refuses_them_itself(storage: Storage) -> None:
    for key in ["", "..", "a//b", "x" * 256, "a\0b"]:
        with pytest.raises(InvalidKey):
            storage.put(key, picture())
        with pytest.raises(InvalidKey):
            storage.client.metadata(key, actor=None)
        with pytest.raises(InvalidKey):
            storage.client.delete(key, actor=ANN)


def test_bad_uploads_have_their_errors_and_leave_nothing(storage: Storage) -> None:
    body = picture()
    bad: list[tuple[type[ElasticImagesError], bytes]] = [
        (EmptyBody, b""),
        (NotAnImage, b"I am no image at all"),
        (NotAnImage, b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        (BrokenImage, body[:-40]),
        (TooLarge, picture("PNG", size=(1001, 1000))),
        (TooLarge, b"\0" * (LIMIT + 1)),
    ]
    for error, content in bad:
        with pytest.raises(error):
            storage.put("k", content)
    with pytest.raises(IncompleteBody):
        storage.client.put("k", io.BytesIO(body), len(body) + 1, actor=ANN)
    with pytest.raises(IncompleteBody):
        storage.send("k", body + hashlib.sha256(b"other").hexdigest().encode())
    assert storage.objects() == []
    assert list((storage.settings.data / "spool").glob("*")) == []
    assert storage.client.usage() == NOTHING


def test_headers_that_make_no_sense_are_refused(storage: Storage) -> None:
    sent = with_digest(picture())
    for headers in (
        {"X-Image-Length": ""},
        {"X-Image-Length": "-1"},
        {"X-Image-Length": "1e3"},
        {"X-Image-Length": "9" * 400},
        {"X-Image-Length": str(len(sent))},
        {"X-Image-Length": str(len(sent) - 65)},
        {"X-Write-Id": "short"},
        {"X-Actor": ""},
        {"X-Actor": "[]"},
        {"X-Actor": '{"user": "1", "name": "x", "admin": false}'},
        {"X-Actor": '{"user": true, "name": "x", "admin": false}'},
        {"X-Actor": '{"user": 1, "name": "x", "admin": 1}'},
        {"If-Match": "no tag"},
        {"If-None-Match": '"open'},
    ):
        with pytest.raises(InvalidRequest):
            storage.send("k", sent, headers)
    assert storage.objects() == []


@pytest.mark.parametrize("cut", [0, 10, -70, -64, -1])
def test_a_body_cut_off_half_way_leaves_nothing(storage: Storage, cut: int) -> None:
    body = picture(size=(300, 300))
    sent = with_digest(body)
    head = (
        f"PUT /internal/images/k HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sent)}\r\nX-Image-Length: {len(body)}\r\n"
        f"Authorization: Bearer {storage.settings.internal_token}\r\nX-Write-Id: {write_id()}\r\n"
        f"X-Actor: {json.dumps(ANN.to_json())}\r\n\r\n"
    )
    host, port = storage.address.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode() + sent[:cut])
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2"))
    with pytest.raises(NotFound):
        storage.client.metadata("k", actor=None)
    assert storage.objects() == []


def test_who_may_change_and_conditions(storage: Storage) -> None:
    _, first = storage.put("k", picture())
    for refused in (
        lambda: storage.put("k", picture(seed=1), BOB),
        lambda: storage.client.delete("k", actor=BOB),
    ):
        with pytest.raises(Forbidden):
            refused()
    with pytest.raises(PreconditionFailed):
        storage.put("k", picture(seed=1), if_none_match="*")
    with pytest.raises(PreconditionFailed):
        storage.put("k", picture(seed=1), if_match='"other"')
    with pytest.raises(PreconditionFailed):
        storage.client.delete("k", actor=ANN, if_match='"other"')
    assert storage.client.get_entry("k").body == picture()
    _, second = storage.put("k", picture(seed=1), ADMIN, if_match=first["etag"])
    assert (second["version"], second["owner"]) == (2, "ann")
    storage.client.delete("k", actor=ANN, if_match=second["etag"])
    with pytest.raises(NotFound):
        storage.client.delete("k", actor=ANN)


def test_a_large_refused_upload_is_answered_and_the_connection_goes_on(storage: Storage) -> None:
    """The refusal reaches a sender that writes its whole body before it reads."""
    storage.put("k", picture())
    for _ in range(3):
        with pytest.raises(Forbidden):
            storage.put("k", b"\0" * LIMIT, BOB)


def test_a_repeated_write_is_answered_as_the_first_time(storage: Storage) -> None:
    headers = {"X-Write-Id": write_id()}
    first = storage.send("k", with_digest(picture()), headers)
    storage.put("k", picture(seed=1))
    again = storage.send("k", with_digest(picture()), headers)
    assert (first.status, again.status) == (201, 201)
    assert decoded(first) == decoded(again)
    assert storage.client.get_entry("k").body == picture(seed=1)


def test_listing_by_key_and_by_time(storage: Storage) -> None:
    for key in ["b", "a/1", "a/2", "c"]:
        storage.put(key, picture())
    first = storage.client.page(actor=None, limit=3)
    assert [image["key"] for image in first["images"]] == ["a/1", "a/2", "b"]
    rest = storage.client.page(actor=None, limit=3, cursor=first["next"])
    assert ([image["key"] for image in rest["images"]], rest["next"]) == (["c"], None)
    assert [image["key"] for image in storage.client.page(actor=None, prefix="a/")["images"]] == ["a/1", "a/2"]
    assert [image["key"] for image in storage.client.page(actor=None, order="newest")["images"]] == [
        "c",
        "a/2",
        "a/1",
        "b",
    ]
    for bad in ({"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"order": "size"}, {"prefix": "a", "order": "newest"}):
        with pytest.raises(InvalidRequest):
            storage.client.page(actor=None, **bad)


def test_all_images_are_deleted_with_progress(storage: Storage) -> None:
    for number in range(5):
        storage.put(f"k{number}", picture())
    with pytest.raises(Forbidden):
        storage.client.delete_all(actor=ANN)
    assert list(storage.client.delete_all_progress(actor=ADMIN)) == [5, 5]
    assert storage.client.delete_all(actor=ADMIN) == 0
    assert storage.client.usage() == NOTHING | {"trash_images": 5, "trash_bytes": 5 * len(picture())}


def test_the_token_is_needed(storage: Storage) -> None:
    stranger = InternalClient("another token")
    for path in ("/internal/images/k", "/internal/metadata", "/internal/usage", "/internal/pool/poll"):
        with pytest.raises(Unauthenticated):
            stranger.request("GET", storage.url + path)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert stranger.request("GET", storage.url + path).status == 200
    stranger.close()


def test_what_can_be_done_without_the_object_store(storage: Storage) -> None:
    objects = storage.settings.data / "objects"
    wait_for(lambda: storage.client.readiness().write, "it has worked once")
    assert storage.http.request("GET", f"{storage.url}/readyz").status == 200
    objects.rename(storage.settings.data / "elsewhere")
    objects.write_text("in the way")
    wait_for(lambda: not storage.client.readiness().read, "it is away")
    found = storage.client.readiness()
    assert "absent or empty" in found.checks["object_store"].detail
    assert storage.http.request("GET", f"{storage.url}/healthz").status == 200
    assert storage.http.request("GET", f"{storage.url}/readyz").status == 200, "not this process's fault"
    for kind in ("read", "write"):
        with pytest.raises(Unavailable):
            storage.http.request("GET", f"{storage.url}/readyz?require={kind}")


class NotingCache:
    """Stands for a node's cache behind a real control listener."""

    incarnation = "f" * 32
    epoch = 0

    def __init__(self) -> None:
        self.dropped: list[tuple[str, int]] = []
        self.version_of: Any = None

    def invalidate_keys(self, incarnation: str, keys: list[str]) -> int:
        assert incarnation == self.incarnation
        self.dropped += [(key, self.version_of(key)) for key in keys]
        return len(keys)


def test_near_caches_are_told_before_the_answer(storage: Storage) -> None:
    cache = NotingCache()
    cache.version_of = lambda key: storage.client.metadata(key, actor=None)["version"]
    listener = ControlListener("127.0.0.1", 0, storage.settings.internal_token, cache)  # type: ignore[arg-type]
    listener.start()
    engine = open_engine(storage.settings.database)
    try:
        address = f"127.0.0.1:{listener.port}"
        PoolStore(engine).register(Member(cache.incarnation, "web-1", "web", address, ""))
        for version in (1, 2):
            storage.put("k", picture(seed=version))
            assert cache.dropped[-1] == ("k", version)
    finally:
        engine.dispose()
        listener.stop()


def test_another_storage_app_is_asked_where_one_does_not_answer(storage: Storage) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
        client = StorageClient(storage.http, [dead, storage.url])
        assert client.put("k", io.BytesIO(picture()), len(picture()), actor=ANN)[0]
        assert client.get_entry("k").body == picture()
        client.delete("k", actor=ANN)
        with pytest.raises(Unavailable):
            StorageClient(storage.http, [dead]).usage()
    with pytest.raises(Unavailable):
        StorageClient(storage.http, []).usage()


def test_an_upload_whose_answer_was_lost_is_answered_by_another_storage_app(storage: Storage) -> None:
    with fault_proxy(storage.url) as proxy:
        client = StorageClient(storage.http, [proxy.url, storage.url])
        proxy.put_in_the_way("PUT", losing_the_answer)
        created, facts = client.put("k", io.BytesIO(picture()), len(picture()), actor=ANN)
        assert (created, facts["version"]) == (True, 1)
        assert client.get_entry("k").body == picture()


def test_an_upload_that_was_lost_never_comes_late_over_a_newer_one(storage: Storage) -> None:
    """It hangs on a storage app that nobody reaches, which goes on when the newer one was acknowledged."""
    hanging: list[tuple[Any, bytes]] = []

    def keep(handler: Any, body: bytes) -> None:
        hanging.append((dict(handler.headers), body))
        handler.hang_up()

    with fault_proxy(storage.url) as proxy:
        client = StorageClient(storage.http, [proxy.url, storage.url])
        proxy.put_in_the_way("PUT", keep)
        old, new = picture(seed=1), picture(seed=2)
        with pytest.raises(Unavailable, match="send it again"):
            client.put("k", io.BytesIO(old), len(old), actor=ANN)
        assert client.put("k", io.BytesIO(new), len(new), actor=ANN)[0]
    (headers, body) = hanging[0]
    kept = {name: headers[name] for name in ("X-Image-Length", "X-Write-Id", "X-Actor")}
    with pytest.raises(Conflict):
        storage.http.request("PUT", f"{storage.url}/internal/images/k", body=body, headers=kept)
    assert client.get_entry("k").body == new
    assert client.metadata("k", actor=None)["version"] == 1
    assert len(storage.objects()) == 1


def test_a_write_that_storage_itself_refuses_is_not_asked_about(storage: Storage) -> None:
    with fault_proxy(storage.url) as proxy:
        client = StorageClient(storage.http, [proxy.url])
        proxy.put_in_the_way("PUT", answering(503))
        with pytest.raises(Unavailable):
            client.put("k", io.BytesIO(picture()), len(picture()), actor=ANN)
        assert proxy.count("POST", "settle") == 0


def test_the_client_imports_neither_database_nor_pillow() -> None:
    code = (
        "import sys, elastic_images.storage.client, elastic_images.core.image_facts\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('sqlalchemy', 'PIL', 'alembic', 'flask')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_start_finishes_what_was_left_pending(storage: Storage) -> None:
    """Both storage apps of one database may be asked; the second one's start takes up what the first left."""
    storage.put("k", picture())
    storage.service._acknowledger.mark_done()
    engine = open_engine(storage.settings.database)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE image_changes SET state = 'pending'")
    second = build(storage.settings)
    second.start(Bound(0, ""))
    try:

        def states() -> list[str]:
            with engine.connect() as connection:
                return list(connection.exec_driver_sql("SELECT state FROM image_changes").scalars())

        wait_for(lambda: states() == ["done"], "the change is done")
    finally:
        second.stop()
        engine.dispose()
