"""The web app with stand-ins for storage, autoscaler and data plane; accounts are real."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from testing.settings import make_settings
from tests.apps.accounts_support import PASSWORD, accounts_of

from elastic_images.accounts.accounts import Accounts
from elastic_images.accounts.guard import Guard
from elastic_images.autoscaler.client import AutoscalerClient
from elastic_images.core.errors import (
    Conflict,
    ElasticImagesError,
    Forbidden,
    IncompleteBody,
    InvalidRequest,
    LinkUsed,
    NotAnImage,
    NotFound,
    PreconditionFailed,
)
from elastic_images.core.image_facts import (
    Actor,
    BatchResult,
    ImageMetadata,
    ImagePage,
    Neighbours,
    TrashPage,
    WholeUsage,
)
from elastic_images.core.keys import check_new_key
from elastic_images.core.partitions import partition_of
from elastic_images.core.pool_config import ScalingConfig
from elastic_images.core.restored_facts import RestoredFacts
from elastic_images.core.upload_nonce import UploadNonce
from elastic_images.core.visibility import Visibility, may_see
from elastic_images.http.answer import Answer
from elastic_images.http.gone_callers import Gone
from elastic_images.settings import Settings
from elastic_images.storage.client import Body, StorageClient
from elastic_images.web.app import WebServices, create_app
from elastic_images.web.bulkheads import Bulkheads, default_bulkheads
from elastic_images.web.refusals import Refuse, refuse_by, refuse_plainly
from elastic_images.web.request_path import key_in_path

LIMIT = 100_000
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def picture(shade: int = 128, format_: str = "PNG") -> bytes:
    """A small real image; another one for each shade."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (shade, 255 - shade, 0)).save(buffer, format_)
    return buffer.getvalue()


@dataclass
class Stored:
    """An image and whose it is."""

    metadata: ImageMetadata
    body: bytes
    owner_id: int | None


class FakeImages(StorageClient):
    """Storage in memory. `fail` is raised by every call; `gate`, where set, is waited for."""

    def __init__(self) -> None:
        self.stored: dict[str, Stored] = {}
        self.used: set[UploadNonce | None] = set()
        self.fail: ElasticImagesError | None = None
        self.gate: threading.Event | None = None
        self.waiting = threading.Semaphore(0)
        self.largest_read = 0
        self._lock = threading.Lock()

    def put(
        self,
        key: str,
        body: Body,
        length_bytes: int,
        *,
        actor: Actor,
        if_match: str | None = None,
        if_none_match: str | None = None,
        kept: RestoredFacts | None = None,
        visibility: Visibility | None = None,
        upload_nonce: UploadNonce | None = None,
        gone: Gone | None = None,  # noqa: ARG002 - as the real one's
    ) -> tuple[bool, ImageMetadata]:
        self._enter()
        data = self._read(body, length_bytes)
        if not data.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8")):
            raise NotAnImage("These bytes are no image.")
        with self._lock:
            if upload_nonce in self.used:
                raise LinkUsed("This upload link has been used already.")
            old = self.stored.get(key)
            self._check(old, actor, if_match, if_none_match)
            version = old.metadata["version"] + 1 if old else 1
            digest = hashlib.sha256(data).hexdigest()
            facts: ImageMetadata = {
                "key": key, "size_bytes": len(data), "content_type": "image/png", "format": "PNG", "width": 8,
                "height": 6, "stored_width": 8, "stored_height": 6, "orientation": 1, "frames": 1, "has_alpha": False,
                "has_location": False, "location_removed": False, "colour_profile": None,
                "taken_at": None, "thumbhash": "NxgCBIB3eHeAiIiHeA==",
                "damaged_tail": False, "sha256": digest, "etag": f'"{digest}"', "version": version,
                "owner": None if actor.user is None else actor.name,
                "visibility": visibility or (old.metadata["visibility"] if old else "public"),
                "created_at": 1_790_000_000.5, "updated_at": 1_790_000_000.5 + version,
            }  # fmt: skip
            if upload_nonce is not None:
                self.used.add(upload_nonce)
            self.stored[key] = Stored(facts, data, actor.user)
            if kept is not None:
                facts["owner"], facts["version"] = kept.owner, kept.version
                facts["created_at"], facts["updated_at"] = kept.created_at, kept.updated_at
                self.stored[key].owner_id = kept.owner_id
            return old is None, facts

    def delete(self, key: str, *, actor: Actor, if_match: str | None = None) -> None:
        self._enter()
        with self._lock:
            self._check(self._seen(key, actor), actor, if_match, None)
            del self.stored[key]

    def move(
        self,
        key: str,
        to: str,
        *,
        actor: Actor,
        visibility: Visibility | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,  # noqa: ARG002 - as the real one's
    ) -> ImageMetadata:
        self._enter()
        check_new_key(to)
        with self._lock:
            old = self._seen(key, actor)
            self._check(old, actor, if_match, None)
            if to in self.stored:
                raise Conflict("There is an image with this key.")
            self.stored[to] = Stored({**old.metadata, "key": to}, old.body, old.owner_id)
            del self.stored[key]
            self.stored[to].metadata["visibility"] = visibility or old.metadata["visibility"]
            return self.stored[to].metadata

    def set_visibility(
        self,
        key: str,
        visibility: Visibility,
        *,
        actor: Actor,
        if_match: str | None = None,
        if_none_match: str | None = None,  # noqa: ARG002 - as the real one's
    ) -> ImageMetadata:
        self._enter()
        with self._lock:
            old = self._seen(key, actor)
            self._check(old, actor, if_match, None)
            old.metadata["visibility"] = visibility
            return old.metadata

    # Batches are tested with a real storage app; here they only answer.

    def batch(self, operations: object, *, actor: Actor) -> list[BatchResult]:  # noqa: ARG002
        self._enter()
        assert isinstance(operations, list)
        return [{"key": one["key"], "status": 404} for one in operations]

    def have(self, digests: Sequence[str], *, actor: Actor) -> dict[str, str]:  # noqa: ARG002
        self._enter()
        return {}

    def metadata(self, key: str, *, actor: Actor | None) -> ImageMetadata:
        self._enter()
        return self._seen(key, actor).metadata

    def _seen(self, key: str, actor: Actor | None) -> Stored:
        found = self.stored.get(key)
        if found is None or not self._sees(actor, found):
            raise NotFound("There is no image with this key.")
        return found

    def _sees(self, actor: Actor | None, stored: Stored) -> bool:
        return actor is None or may_see(actor, stored.metadata["visibility"], stored.owner_id)

    def page(
        self,
        *,
        actor: Actor | None,
        prefix: str = "",
        limit: int = 100,
        cursor: str | None = None,
        order: str = "key",
        visibility: Visibility | None = None,
    ) -> ImagePage:
        self._enter()
        if cursor is not None and not cursor.startswith("after:"):
            raise InvalidRequest("Invalid cursor.")
        keys = sorted((key for key in self.stored if key.startswith(prefix)), key=str.encode)
        keys = [key for key in keys if self._sees(actor, self.stored[key])]
        keys = [key for key in keys if visibility in (None, self.stored[key].metadata["visibility"])]
        if order == "newest":
            keys.reverse()
        start = keys.index(cursor.removeprefix("after:")) + 1 if cursor else 0
        chosen = keys[start : start + limit]
        more = start + limit < len(keys)
        images = [self.stored[key].metadata for key in chosen]
        return {"images": images, "next": f"after:{chosen[-1]}" if more else None}

    def neighbours(self, key: str, *, actor: Actor | None, prefix: str = "", order: str = "key") -> Neighbours:
        self.metadata(key, actor=actor)
        found = self.page(actor=actor, prefix=prefix, limit=1000, order=order)
        keys = [image["key"] for image in found["images"]]
        listed = [None, *keys, None]
        place = listed.index(key)
        return {"previous": listed[place - 1], "next": listed[place + 1]}

    # The trash is tested with a real storage app; here it only answers.

    def trash(
        self,
        *,
        actor: Actor,  # noqa: ARG002
        prefix: str = "",  # noqa: ARG002
        limit: int = 100,  # noqa: ARG002
        cursor: str | None = None,  # noqa: ARG002
    ) -> TrashPage:
        self._enter()
        return {"entries": [], "next": None}

    def newest_in_trash(self, key: str, *, actor: Actor) -> int | None:  # noqa: ARG002
        self._enter()
        return 1

    def restore(self, entry_id: int, *, actor: Actor, if_none_match: str | None = None) -> ImageMetadata:  # noqa: ARG002
        self._enter()
        return next(iter(self.stored.values())).metadata

    def purge_trash(self, prefix: str = "", *, actor: Actor) -> int:  # noqa: ARG002
        self._enter()
        return 0

    def usage(self) -> WholeUsage:
        self._enter()
        size_bytes = sum(len(image.body) for image in self.stored.values())
        others = {"trash_images": 0, "trash_bytes": 0, "damaged": 0, "lost": 0}
        return cast("WholeUsage", {"images": len(self.stored), "bytes": size_bytes, **others})

    def delete_all(self, *, actor: Actor) -> int:
        self._enter()
        if not actor.admin:
            raise Forbidden("Only an administrator deletes everything.")
        count = len(self.stored)
        self.stored.clear()
        return count

    def _enter(self) -> None:
        self.waiting.release()
        if self.gate is not None:
            assert self.gate.wait(60)
        if self.fail is not None:
            raise self.fail

    def _read(self, body: Body, length_bytes: int) -> bytes:
        chunks = []
        while chunk := body.read(64 * 1024):
            self.largest_read = max(self.largest_read, len(chunk))
            chunks.append(chunk)
        data = b"".join(chunks)
        if len(data) != length_bytes:
            raise IncompleteBody("Short.")
        return data

    def _check(self, old: Stored | None, actor: Actor, if_match: str | None, if_none_match: str | None) -> None:
        etag = old.metadata["etag"] if old else None
        if (if_match is not None and (etag is None or if_match not in ("*", etag))) or (if_none_match == "*" and old):
            raise PreconditionFailed("A condition does not hold.")
        if old is not None and not actor.admin and old.owner_id != actor.user:
            raise Forbidden("This image belongs to another user.")


class FakePool(AutoscalerClient):
    """An autoscaler that keeps a config and a rate."""

    def __init__(self) -> None:
        self.kept = ScalingConfig()
        self.rates: dict[str, Any] = {"requests": 0, "hits": 0, "misses": 0, "miss_rate": None, "hit_rate": None}
        self.fail: ElasticImagesError | None = None

    def config(self) -> Any:
        if self.fail is not None:
            raise self.fail
        return self.kept.to_json()

    def update_config(self, changes: Mapping[str, object]) -> Any:
        self.kept = self.kept.merge(changes)
        return self.config()

    def rate(self, window_seconds: float = 60) -> Any:
        assert window_seconds == 60
        if self.fail is not None:
            raise self.fail
        return self.rates


class FakePlane:
    """A data plane that reads the fake storage; two nodes. `refusal`, where set, is what `respond` says."""

    def __init__(self, images: FakeImages) -> None:
        self._images = images
        self.reads = 0
        self.refuse: Refuse = refuse_plainly
        self.refusal: ElasticImagesError | None = None

    def read_whole(self, key: str, actor: Actor) -> Answer:
        if self._images.fail is not None:
            raise self._images.fail
        self._images.metadata(key, actor=actor)
        self.reads += 1
        found = self._images.stored[key]
        headers = [("Content-Type", "image/png"), ("ETag", found.metadata["etag"]), ("X-Cache", "HIT")]
        return Answer("200 OK", headers, found.body)

    def respond(self, environ: dict[str, Any], actor: Actor | None = None) -> Answer:
        try:
            if self.refusal is not None:
                raise self.refusal
            return self.read_whole(key_in_path(environ, "/images/"), actor or Actor(None, "anonymous"))
        except ElasticImagesError as error:
            return self.refuse(error, environ)

    def locate(self, key: str) -> tuple[int, int | None]:
        return partition_of(key), partition_of(key) % 2


@dataclass
class Web:
    """The app and what stands behind it."""

    app: Flask
    accounts: Accounts
    guard: Guard
    images: FakeImages
    pool: FakePool
    plane: FakePlane
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    def client(self) -> FlaskClient:
        """A caller without credentials."""
        return self.app.test_client()

    def auth(self, user: str = "ann", scope: str = "write") -> dict[str, str]:
        """Headers of a script of `user` (`ann`, `bob` or the administrator `root`)."""
        if (user, scope) not in self._tokens:
            self._tokens[user, scope] = self.accounts.tokens.create(user, f"{scope} for tests", [scope])[1]
        return {"Authorization": f"Bearer {self._tokens[user, scope]}"}

    @property
    def admin(self) -> dict[str, str]:
        """Headers of an administrator's script."""
        return self.auth("root", "admin")

    def browser(self, user: str = "ann") -> FlaskClient:
        """A browser that is logged in."""
        client = self.client()
        client.environ_base.update({"HTTP_ACCEPT": BROWSER["Accept"], "HTTP_ORIGIN": "http://localhost"})
        answer = client.post("/login", data={"name": user, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client


def web_settings(data: Path, **overrides: Any) -> Settings:
    """Settings with a small limit for images."""
    return make_settings(data=data, **({"max_image_bytes": LIMIT} | overrides))


@contextmanager
def open_web(folder: Path, *, bulkheads: Bulkheads | None = None, **overrides: Any) -> Iterator[Web]:
    """A web app; `overrides` are settings."""
    settings = web_settings(folder, **overrides)
    with accounts_of(folder, ann="user", bob="user", root="admin") as accounts:
        images, pool, guard = FakeImages(), FakePool(), Guard(accounts, settings)
        plane = FakePlane(images)
        services = WebServices(
            images=images, pool=pool, plane=plane, guard=guard, bulkheads=bulkheads or default_bulkheads()
        )
        app = create_app(services, settings)
        plane.refuse = refuse_by(app)
        yield Web(app, accounts, guard, images, pool, plane)
