"""The web app over real sockets, on a real storage app: what only shows on the wire."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import socket
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import urllib3
from PIL import Image
from tests.apps.real_site import real_site
from tests.apps.web_support import Web, open_web, picture, web_settings

from elastic_images.accounts.bootstrap import CLI_TOKEN_FILE, ensure_first_administrator
from elastic_images.database.engine import open_engine
from elastic_images.database.migrate import migrate
from elastic_images.process.server import Bound, serving
from elastic_images.web.bulkheads import default_bulkheads
from elastic_images.web.service import WebService

LIMIT = 2_000_000


@dataclass
class Site:
    """A web app in front of a storage app."""

    bound: Bound
    token: str
    data: Path
    storage_urls: tuple[str, ...] = ()

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, token: bool = True, **headers: str
    ) -> urllib3.BaseHTTPResponse:
        """A request by urllib3, as most scripts make it."""
        sent = {"Authorization": f"Bearer {self.token}"} if token else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return POOL.request(method, f"http://{self.bound.address}{path}", body=body, headers=sent)

    def plain(self, method: str, path: str, body: bytes | None = None, *, token: bool = True) -> tuple[int, bytes]:
        """A request by http.client: the path goes out as it is, and the whole body before the answer is read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.bound.port, timeout=60)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def raw(self, head: str, body: bytes = b"", *, end: bool = False) -> tuple[int, dict[str, Any]]:
        """A request by hand: its status and JSON. `end`: nothing follows the body."""
        head = f"{head}\r\nHost: localhost\r\nAuthorization: Bearer {self.token}\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.bound.port), timeout=60) as connection:
            connection.sendall(head.encode("latin-1") + body)
            if end:
                connection.shutdown(socket.SHUT_WR)
            with contextlib.closing(http.client.HTTPResponse(connection)) as answer:
                answer.begin()
                return answer.status, json.loads(answer.read())

    def objects(self) -> list[Path]:
        """Every file that storage keeps, temporary ones too."""
        return [path for name in ("objects", "spool") for path in (self.data / name).rglob("*") if path.is_file()]


POOL = urllib3.PoolManager(retries=False, timeout=60)


@pytest.fixture(scope="module", autouse=True)
def _close_connections() -> Iterator[None]:
    yield
    POOL.clear()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with real_site(tmp_path_factory.mktemp("site"), max_image_bytes=LIMIT) as real:
        yield Site(real.bound, real.token, real.data, real.storage_urls)


def noise(side: int = 400, format_: str = "PNG") -> bytes:
    """A picture that does not compress: about 3 x side x side bytes as PNG."""
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(buffer, format_)
    return buffer.getvalue()


def slug(answer: urllib3.BaseHTTPResponse) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status, answer.json()["type"].rpartition("/")[2]


def test_an_image_comes_back_byte_for_byte(site: Site) -> None:
    for format_ in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        body = noise(300, format_)
        key = f"whole/{format_} é"
        answer = site.ask("PUT", f"/api/images/{quote(key)}", body)
        assert answer.status == 201, answer.data
        facts = answer.json()
        assert (facts["format"], facts["size_bytes"], facts["owner"]) == (format_, len(body), "admin")
        got = site.ask("GET", facts["url"], token=False)
        assert (got.status, got.data, got.headers["ETag"]) == (200, body, facts["etag"])
        assert got.headers["X-Cache"] == "BYPASS"
        assert site.ask("GET", facts["url"], token=False, If_None_Match=facts["etag"]).status == 304
        assert site.ask("GET", facts["url"], token=False, Range="bytes=0-9").data == body[:10]
        course = site.ask("POST", f"/api/key/{quote(key)}/").json()
        assert b64decode(course["content"]) == body
        assert site.ask("DELETE", f"/api/images/{quote(key)}").status == 204


def test_the_course_api_stores_exact_bytes(site: Site) -> None:
    for number in range(6):
        body = noise(180 + number)
        fields: dict[str, Any] = {"key": f"course/{number}", "file": ("photo.png", body)}
        answer = POOL.request(
            "POST",
            f"http://{site.bound.address}/api/upload",
            fields=fields,
            headers={"Authorization": f"Bearer {site.token}"},
        )
        assert answer.json() == {"success": "true", "key": f"course/{number}"}
        assert site.ask("GET", f"/images/course/{number}", token=False).data == body
    listed = site.ask("POST", "/api/list_keys").json()["keys"]
    assert [key for key in listed if key.startswith("course/")] == [f"course/{number}" for number in range(6)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("a//b", 400), ("a/../b", 400), ("a/./b", 400), ("..", 400), ("", 400), ("a/", 400), ("%2Fa", 400),
        ("a%00b", 400), ("a%0Ab", 400), ("%E9", 400), ("e%CC%81", 400), ("k" * 256, 400), ("k" * 255, 404),
        ("%C3%A9" * 255, 404), ("a%2Fb", 404), ("with%20space", 404), ("%25", 404), ("...", 404),
    ],
)  # fmt: skip
def test_keys_on_the_wire(site: Site, path: str, status: int) -> None:
    for prefix in ("/api/images/", "/images/"):
        assert site.plain("GET", prefix + path)[0] == status, prefix
    assert site.plain("DELETE", f"/api/images/{path}")[0] == status
    if status == 400:
        assert site.plain("PUT", f"/api/images/{path}", picture())[0] == 400


def test_bodies_that_are_no_images_leave_nothing_behind(site: Site) -> None:
    before = len(site.objects())
    for body, expected in (
        (b"this is no image", (415, "not-an-image")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", (415, "not-an-image")),
        (noise(200)[:50_000], (422, "broken-image")),
        (bytes(LIMIT + 1), (413, "too-large")),
        (b"", (400, "empty-body")),
    ):
        assert slug(site.ask("PUT", "/api/images/bad", body)) == expected
    assert site.ask("GET", "/images/bad").status == 404
    assert len(site.objects()) == before


def test_a_body_that_ends_early(site: Site) -> None:
    before, body = len(site.objects()), noise(200)
    for sent, announced in ((len(body) // 2, len(body)), (len(body), len(body) + 1), (0, len(body))):
        head = f"PUT /api/images/short HTTP/1.1\r\nContent-Length: {announced}"
        status, document = site.raw(head, body[:sent], end=True)
        assert (status, document["type"].rpartition("/")[2]) == (400, "incomplete-body")
    assert site.ask("GET", "/images/short").status == 404
    assert len(site.objects()) == before


def test_lengths(site: Site) -> None:
    put = "PUT /api/images/lengths HTTP/1.1"
    assert site.raw(f"{put}\r\nContent-Length: {LIMIT + 1}")[0] == 413  # at once: nothing was sent
    assert site.raw(put)[0] == 411
    assert site.raw(f"{put}\r\nContent-Length: 0")[1]["type"].endswith("empty-body")
    chunked = b"10000\r\n" + bytes(65536) + b"\r\n0\r\n\r\n"
    assert site.raw(f"{put}\r\nTransfer-Encoding: chunked", chunked)[0] == 411


def test_a_client_that_waits_before_it_sends(site: Site) -> None:
    body = noise(100)
    head = f"PUT /api/images/polite HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {site.token}\r\n"
    for path, length, expected in (
        ("polite", len(body), b" 100 "),
        ("polite", LIMIT + 1, b" 413 "),
        ("..", 9, b" 400 "),
    ):
        with socket.create_connection(("127.0.0.1", site.bound.port), timeout=60) as connection:
            sent = head.replace("/polite ", f"/{path} ") + f"Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
            connection.sendall(sent.encode())
            assert expected in connection.recv(1000).partition(b"\r\n")[0]
            if expected == b" 100 ":
                connection.sendall(body)
                assert b" 201 " in connection.recv(1000).partition(b"\r\n")[0]
    assert site.ask("GET", "/images/polite").data == body


def test_who_is_refused_gets_to_know_it_however_he_sends(site: Site) -> None:
    """http.client sends the whole body before it looks for an answer: it must find one, not a broken pipe."""
    body = bytes(LIMIT)
    assert site.plain("PUT", "/api/images/refused", body, token=False)[0] == 401
    assert site.plain("PUT", "/api/images/a//b", body)[0] == 400
    assert site.plain("PUT", "/api/images/refused", bytes(3 * LIMIT))[0] == 413
    status, text = site.plain("POST", "/api/upload", body)
    assert (status, json.loads(text)["error"]["code"]) == (200, 400)


@pytest.mark.parametrize(
    "query", ["prefix=%00", "prefix=%E9", "prefix=%ED%A0%80", "prefix=%F0%9F%96%BC", "prefix=%25&limit=2", "x=%zz&y"]
)
def test_odd_queries_are_answered(site: Site, query: str) -> None:
    assert site.ask("GET", f"/api/images?{query}").status == 200


@pytest.mark.parametrize("cursor", ["%00", "nonsense", "A" * 5000, "%E9", "bnVsbA", "WzEsMiwzXQ"])
def test_odd_cursors_are_refused(site: Site, cursor: str) -> None:
    assert slug(site.ask("GET", f"/api/images?cursor={cursor}")) == (400, "invalid-request")


def test_images_for_those_only_who_may_read(site: Site) -> None:
    """In mode `none` a read goes through Flask, and is answered just as in front of it."""
    body = noise(50)
    url = site.ask("PUT", "/api/images/private", body).json()["url"]
    closed = WebService(web_settings(site.data, anonymous="none", near_cache_mb=0, storage_urls=site.storage_urls))
    try:
        with serving(closed.wsgi) as bound:
            private = Site(bound, site.token, site.data, site.storage_urls)
            assert slug(private.ask("GET", url, token=False)) == (401, "unauthenticated")
            assert private.ask("HEAD", url, token=False).status == 401
            got = private.ask("GET", url)
            assert (got.status, got.data, got.headers["Content-Type"]) == (200, body, "image/png")
            assert got.headers["Cache-Control"] == "private, no-cache"
            head = private.ask("HEAD", url)
            assert (head.status, head.data, head.headers["Content-Length"]) == (200, b"", str(len(body)))
            assert private.ask("GET", url, If_None_Match=got.headers["ETag"]).status == 304
            part = private.ask("GET", url, Range="bytes=5-9")
            assert (part.status, part.data) == (206, body[5:10])
            assert slug(private.ask("GET", "/images/none")) == (404, "not-found")
    finally:
        closed.stop()


def test_the_autoscaler_is_down(site: Site) -> None:
    answer = site.ask("POST", "/api/getNumNodes")
    assert (answer.status, answer.json()["error"]["code"]) == (503, 503)
    assert answer.headers["Retry-After"]


def test_health(site: Site) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert site.ask("GET", path, token=False).status == 200
    assert b'app="web"' in site.ask("GET", "/metrics", token=False).data


def test_storage_is_down(tmp_path: Path) -> None:
    urls = {"storage_urls": ("http://127.0.0.1:9",), "autoscaler_url": "http://127.0.0.1:9"}
    settings = web_settings(tmp_path, **urls)
    engine = open_engine(settings.database)
    migrate(engine)
    ensure_first_administrator(engine, settings)
    engine.dispose()
    web = WebService(settings)
    try:
        with serving(web.wsgi) as bound:
            down = Site(bound, (tmp_path / CLI_TOKEN_FILE).read_text().strip(), tmp_path)
            for method, path, body in (
                ("GET", "/images/k1", None),
                ("GET", "/api/images/k1", None),
                ("GET", "/api/images", None),
                ("PUT", "/api/images/k1", picture()),
                ("DELETE", "/api/images/k1", None),
            ):
                answer = down.ask(method, path, body)
                assert slug(answer) == (503, "unavailable"), path
                assert answer.headers["Retry-After"]
            ready = down.ask("GET", "/readyz")
            assert (ready.status, ready.json()["read"], ready.json()["write"]) == (503, False, False)
            assert ready.headers["Retry-After"]
            assert down.ask("GET", "/healthz").status == 200
    finally:
        web.stop()


# ---- Bulkheads ----


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[tuple[Web, Site]]:
    """A web app with 2 places for uploads and 2 for waiting, on 8 threads."""
    with (
        open_web(tmp_path, bulkheads=default_bulkheads(uploads=2, waiting=2)) as web,
        serving(web.app, threads=8) as bound,
    ):
        web.images.gate = threading.Event()
        try:
            yield web, Site(bound, web.auth()["Authorization"].removeprefix("Bearer "), tmp_path)
        finally:
            web.images.gate.set()


def in_background(site: Site, method: str, path: str, body: bytes | None = None) -> tuple[threading.Thread, list[int]]:
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(site.plain(method, path, body)[0]))
    thread.start()
    return thread, statuses


def test_waiting_requests_leave_room_for_others(crowded: tuple[Web, Site]) -> None:
    web, site = crowded
    waiting = [in_background(site, "GET", "/api/images") for _ in range(2)]
    uploading = [in_background(site, "PUT", f"/api/images/{number}", picture()) for number in range(2)]
    for _ in range(4):
        assert web.images.waiting.acquire(timeout=60)
    for method, path, body in (("GET", "/api/images", None), ("PUT", "/api/images/x", picture()), ("GET", "/", None)):
        answer = site.ask(method, path, body)
        assert slug(answer) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "1"
    course = site.ask("POST", "/api/list_keys")
    assert (course.status, course.json()["error"]["code"]) == (503, 503)
    for path in ("/healthz", "/metrics", "/assets/any/ui/style.css"):
        assert site.ask("GET", path, token=False).status == 200
    assert web.images.gate is not None
    web.images.gate.set()
    for thread, statuses in waiting + uploading:
        thread.join(60)
        assert statuses[0] in (200, 201)
    assert site.ask("GET", "/api/images").status == 200


def test_one_user_leaves_places_for_the_uploads_of_others(tmp_path: Path) -> None:
    with open_web(tmp_path, bulkheads=default_bulkheads(uploads=10)) as web, serving(web.app, threads=12) as bound:
        ann, bob = (
            Site(bound, web.auth(name)["Authorization"].removeprefix("Bearer "), tmp_path) for name in ("ann", "bob")
        )
        web.images.gate = threading.Event()
        uploading = [in_background(ann, "PUT", f"/api/images/{number}", picture()) for number in range(5)]
        for _ in uploading:
            assert web.images.waiting.acquire(timeout=60)
        refused = ann.ask("PUT", "/api/images/x", picture())
        assert slug(refused) == (503, "unavailable")
        assert refused.headers["Retry-After"] == "1"
        uploading.append(in_background(bob, "PUT", "/api/images/y", picture()))
        assert web.images.waiting.acquire(timeout=60)
        web.images.gate.set()
        for thread, statuses in uploading:
            thread.join(60)
            assert statuses == [201]
        assert ann.ask("PUT", "/api/images/x", picture()).status == 201


def test_slow_uploads_leave_room_for_others(crowded: tuple[Web, Site]) -> None:
    web, site = crowded
    assert web.images.gate is not None
    web.images.gate.set()
    head = f"PUT /api/images/slow HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {site.token}\r\n"
    head += f"Content-Length: {len(picture())}\r\n\r\n"
    slow = []
    for _ in range(2):
        connection = socket.create_connection(("127.0.0.1", site.bound.port), timeout=60)
        connection.sendall(head.encode() + picture()[:10])
        assert web.images.waiting.acquire(timeout=60)
        slow.append(connection)
    assert slug(site.ask("PUT", "/api/images/x", picture())) == (503, "unavailable")
    assert site.ask("GET", "/api/images").status == 200
    assert site.ask("GET", "/healthz").status == 200
    for connection in slow:
        connection.sendall(picture()[10:])
        assert b" 20" in connection.recv(20)
        connection.close()
    assert site.ask("PUT", "/api/images/x", picture()).status == 201


def test_places_are_given_back_after_errors(crowded: tuple[Web, Site]) -> None:
    web, site = crowded
    assert web.images.gate is not None
    web.images.gate.set()
    for _ in range(5):
        assert site.ask("PUT", "/api/images/x", b"no image").status == 415
        assert site.ask("PUT", "/api/images/x", b"x", token=False).status == 401
        assert site.ask("GET", "/api/images/none").status == 404
        assert site.ask("GET", "/nothing").status == 404
        body = picture()
        assert site.raw(f"PUT /api/images/x HTTP/1.1\r\nContent-Length: {len(body)}", body[:9], end=True)[0] == 400
