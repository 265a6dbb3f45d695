"""`/readyz` of storage and web while what they share with others hangs, is away, or is full."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import urllib3
from PIL import Image
from sqlalchemy.engine import make_url
from testing.database_servers import DatabaseServer, mariadb, mariadb_installed, postgresql, postgresql_binaries
from testing.settings import make_settings
from testing.silent_proxy import SilentProxy, silent_proxy
from testing.waiting import wait_for
from tests.apps.storage_support import served_storage
from tests.conftest import MISSING_RIGHTS

from elastic_images.accounts.bootstrap import ensure_first_administrator
from elastic_images.core.errors import OutOfSpace
from elastic_images.core.image_facts import Actor
from elastic_images.database.engine import open_engine
from elastic_images.http.internal_client import InternalClient
from elastic_images.process.server import serving
from elastic_images.settings import Settings
from elastic_images.storage.client import StorageClient
from elastic_images.web.service import WebService

ANN = Actor(1, "ann")
DISK_BYTES = 64_000_000


@dataclass
class Pair:
    """A storage app, and a web app that uses it."""

    storage: str
    web: str
    client: StorageClient
    http: urllib3.PoolManager

    def ready(self, app: str, require: str = "") -> tuple[int, dict[str, Any]]:
        query = f"?require={require}" if require else ""
        answer = self.http.request("GET", f"{getattr(self, app)}/readyz{query}", timeout=60.0)
        return answer.status, json.loads(answer.data)

    def wait_until(self, app: str, *, read: bool, write: bool) -> dict[str, Any]:
        def seen() -> dict[str, Any] | None:
            found = self.ready(app)[1]
            return found if (found["read"], found["write"]) == (read, write) else None

        return wait_for(seen, f"{app} reads: {read}, writes: {write}")

    def put(self, key: str, body: bytes) -> None:
        self.client.put(key, io.BytesIO(body), len(body), actor=ANN)


@contextmanager
def pair_on(settings: Settings) -> Iterator[Pair]:
    with served_storage(settings) as (_, bound):
        engine = open_engine(settings.database)
        ensure_first_administrator(engine, settings)
        engine.dispose()
        url = f"http://{bound.address}"
        internal = InternalClient(settings.internal_token)
        overrides: dict[str, Any] = {"storage_urls": (url,), "autoscaler_url": "http://127.0.0.1:9", "near_cache_mb": 0}
        web = WebService(replace(settings, **overrides))
        try:
            with serving(web.wsgi) as web_bound, urllib3.PoolManager(retries=False) as http:
                yield Pair(url, f"http://{web_bound.address}", StorageClient(internal, [url]), http)
        finally:
            web.stop()
            internal.close()


def picture(number: int, side: int = 1000) -> bytes:
    """Almost a megabyte that no format makes smaller."""
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 50 + number).save(buffer, "PNG")
    return buffer.getvalue()


@contextmanager
def hanging_database(server: DatabaseServer) -> Iterator[tuple[str, SilentProxy]]:
    """A database behind a proxy that may fall silent, and its URL."""
    with server.fresh_url() as url:
        parts = make_url(url)
        target = parts.query.get("unix_socket") or f"{parts.query['host']}/.s.PGSQL.5432"
        with silent_proxy(str(target)) as proxy:
            through = parts.set(host="127.0.0.1", port=proxy.port, query={})
            yield through.render_as_string(hide_password=False), proxy


@pytest.mark.parametrize(
    "start_server",
    [
        pytest.param(mariadb, marks=pytest.mark.skipif(not mariadb_installed(), reason="needs mariadb-server")),
        pytest.param(
            postgresql, marks=pytest.mark.skipif(postgresql_binaries() is None, reason="needs the package postgresql")
        ),
    ],
)
def test_a_database_that_hangs(
    start_server: Callable[[], AbstractContextManager[DatabaseServer]], tmp_path: Path
) -> None:
    with (
        start_server() as server,
        hanging_database(server) as (url, proxy),
        pair_on(make_settings(tmp_path, database=url)) as pair,
    ):
        for app in ("storage", "web"):
            pair.wait_until(app, read=True, write=True)
            assert pair.ready(app, "write")[0] == 200
        proxy.silent = True
        for app, check in (("storage", "database"), ("web", "storage"), ("web", "accounts")):
            found = pair.wait_until(app, read=False, write=False)
            assert not found["checks"][check]["ok"]
            assert found["checks"]["process"]["ok"]
            assert pair.ready(app)[0] == 200, "not this process's fault"
            assert [pair.ready(app, require)[0] for require in ("read", "write")] == [503, 503]
        proxy.silent = False
        for app in ("storage", "web"):
            pair.wait_until(app, read=True, write=True)


def test_an_object_store_that_is_away(tmp_path: Path) -> None:
    with pair_on(make_settings(tmp_path, ready_shared_seconds=0.0)) as pair:
        pair.wait_until("web", read=True, write=True)
        assert pair.ready("storage")[0] == 200
        assert pair.ready("web")[0] == 503, "no node serves, and that counts at once here"
        (tmp_path / "objects").rename(tmp_path / "elsewhere")
        (tmp_path / "objects").write_text("in the way")
        found = pair.wait_until("web", read=False, write=False)
        assert found["checks"]["storage"]["detail"] == "Not working: object_store.", "strangers learn no more"
        assert pair.ready("storage")[0] == 503, "with READY_SHARED_SECONDS=0 it counts at once"
        (tmp_path / "objects").unlink()
        (tmp_path / "elsewhere").rename(tmp_path / "objects")
        pair.wait_until("web", read=True, write=True)
        assert pair.ready("storage")[0] == 200


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{MISSING_RIGHTS}{done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up(small_disk: Path) -> None:
    with pair_on(make_settings(small_disk)) as pair:
        pair.wait_until("web", read=True, write=True)
        stored: dict[str, bytes] = {}
        with contextlib.suppress(OutOfSpace):
            for number in range(1000):
                body = picture(number % 50)
                pair.put(f"k{number}", body)
                stored[f"k{number}"] = body
        assert 20 < len(stored) < 1000
        for _ in range(3):
            with pytest.raises(OutOfSpace):
                pair.put("more", picture(1))
        (health,) = pair.client.health()
        assert health["refused_last_hour"] == {"out-of-space": 4}
        assert health["figures"]["database_failures"] == 0
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            free = int(health["figures"]["free_bytes"])
            file.write(bytes(free - 550_000))  # a little of the reserve, 640,000 bytes, is used
        found = pair.wait_until("web", read=True, write=False)
        assert "free_space" in found["checks"]["storage"]["detail"]
        assert [pair.ready("web", require)[0] for require in ("read", "write")] == [200, 503]
        assert pair.ready("storage")[0] == 200
        metrics = pair.http.request("GET", f"{pair.storage}/metrics").data.decode()
        assert "elastic_images_storage_writable 0.0" in metrics
        assert 'elastic_images_storage_refused_uploads_total{reason="out-of-space"} 4.0' in metrics
        for key, body in stored.items():
            assert pair.client.get_entry(key).body == body
        for key in list(stored)[:3]:
            pair.client.delete(key, actor=ANN)
        filler.unlink()
        pair.wait_until("web", read=True, write=True)
        pair.put("again", picture(7, 100))
