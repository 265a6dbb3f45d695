"""Bad input over real sockets: a clear error with the right status, nothing changed, nothing left behind."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import pytest
from PIL import Image
from testing.photographs import Photograph
from testing.system import System
from testing.waiting import wait_for

from elastic_images.core.pool_document import ConfigDocument

KEPT = "kept/bad-input"


@pytest.fixture
def photograph(few: tuple[Photograph, ...]) -> Photograph:
    return few[0]


@pytest.fixture
def unchanged(system: System, photograph: Photograph) -> Iterator[System]:
    """A system that must have the same images, objects and settings afterwards."""
    if system.client().get(KEPT).status != 200:
        assert system.admin().put(KEPT, photograph.body).status == 201
    objects, before = files(system), state(system)
    yield system
    assert state(system) == before
    assert system.client().get(KEPT).body == photograph.body
    # Old objects may go meanwhile, but none may come.
    wait_for(lambda: files(system) <= objects, "nothing is left behind in the object store")


def state(system: System) -> tuple[list[tuple[str, int]], ConfigDocument]:
    """Every key with its version, and the pool's settings."""
    return [(image["key"], image["version"]) for image in system.admin().list()], system.autoscaler().config()


def files(system: System) -> set[str]:
    """Every file of the object store, temporary ones too."""
    return {str(path) for path in (system.data / "objects").rglob("*") if path.is_file()}


# ---- Bodies ----


def encoded(image: Image.Image, format_: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_)
    return buffer.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    """A small PNG that says it is huge, and is."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    pixels = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["jpg", "webp", "png", "gif", "bmp", "tif", "avif"])
def test_a_truncated_image(unchanged: System, few: tuple[Photograph, ...], suffix: str) -> None:
    photograph = next(one for one in few if one.name.endswith(suffix))
    answer = unchanged.admin().put("truncated", photograph.body[: len(photograph.body) * 2 // 3])
    assert answer.problem in ((422, "broken-image"), (415, "not-an-image"))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", (400, "empty-body")),
        (b"this is no image", (415, "not-an-image")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", (415, "not-an-image")),
        (b"<html><script>alert(1)</script></html>", (415, "not-an-image")),
        (b"%PDF-1.4\n%%EOF", (415, "not-an-image")),
        (b"\xff\xd8\xff\xe0", (422, "broken-image")),
        (png_bomb(30_000, 30_000), (413, "too-large")),
        (bytes(25_000_001), (413, "too-large")),
    ],
    ids=["empty", "text", "svg", "html", "pdf", "only a beginning", "bomb", "over the limit"],
)
def test_a_body_that_is_no_image_of_ours(unchanged: System, body: bytes, problem: tuple[int, str]) -> None:
    assert unchanged.admin().put("no-image", body).problem == problem
    # The key that is there already is not touched either.
    assert unchanged.admin().put(KEPT, body).problem == problem


def test_a_bad_body_by_the_course_api(unchanged: System) -> None:
    for body, code in ((b"", 400), (b"no image", 415), (png_bomb(30_000, 30_000), 413), (bytes(25_000_001), 413)):
        answer = unchanged.admin().course("upload", fields={"key": "bad", "file": ("bad.jpg", body)})
        assert (answer["success"], answer["error"]["code"]) == ("false", code)
    for fields in ({"key": "bad"}, {"file": ("a.jpg", b"x")}, {"key": "", "file": ("a.jpg", b"x")}):
        answer = unchanged.admin().course("upload", fields=fields)
        assert (answer["success"], answer["error"]["code"]) == ("false", 400)


# ---- Lengths, by hand ----


@dataclass(frozen=True, slots=True)
class Upload:
    """A PUT as bytes on a socket."""

    system: System
    key: str = "by-hand"

    def send(self, length: str | None, body: bytes, *, further: str = "", end: str = "wait") -> int | None:
        """The status of the answer; None where the connection was closed without one.

        `end`: after the body, `wait` for the answer; say that nothing `more` comes, and wait; or `leave`.
        """
        token = self.system.admin().token
        head = f"PUT /api/images/{self.key} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{further}"
        head += f"Content-Length: {length}\r\n\r\n" if length is not None else "\r\n"
        with socket.create_connection(("127.0.0.1", self.system.port()), timeout=60) as connection:
            try:
                connection.sendall(head.encode() + body)
                if end == "leave":
                    return None
                if end == "more":
                    connection.shutdown(socket.SHUT_WR)
                with connection.makefile("rb") as stream:
                    line = stream.readline()
            except (ConnectionError, BrokenPipeError):
                return None
        return int(line.split()[1]) if line else None


def is_absent(system: System, key: str = "by-hand") -> bool:
    return system.client().get(key).status == 404


def test_a_body_cut_off_half_way(unchanged: System, photograph: Photograph) -> None:
    half, length = photograph.body[: len(photograph.body) // 2], len(photograph.body)
    upload = Upload(unchanged)
    assert upload.send(str(length), half, end="more") in (400, None)
    upload.send(str(length), half, end="leave")
    upload.send(str(length), b"", end="leave")
    # Even where what came is a whole image.
    assert upload.send(str(length + 1), photograph.body, end="more") in (400, None)
    upload.send(str(length + 1), photograph.body, end="leave")
    assert is_absent(unchanged)


def test_a_length_that_is_too_small(unchanged: System, photograph: Photograph) -> None:
    assert Upload(unchanged).send(str(len(photograph.body) // 2), photograph.body) in (415, 422)
    assert is_absent(unchanged)


def test_no_length(unchanged: System, photograph: Photograph) -> None:
    assert Upload(unchanged).send(None, b"") == 411
    size = f"{len(photograph.body):x}\r\n".encode()
    chunked = size + photograph.body + b"\r\n0\r\n\r\n"
    assert Upload(unchanged).send(None, chunked, further="Transfer-Encoding: chunked\r\n") == 411
    assert is_absent(unchanged)


@pytest.mark.parametrize("length", ["-5", "abc", "1e3", "+10", "99999999999999999999999", "10, 20"])
def test_a_length_that_is_no_number(unchanged: System, photograph: Photograph, length: str) -> None:
    assert Upload(unchanged).send(length, photograph.body) in (400, 411, 413, None)
    assert is_absent(unchanged)


def test_two_lengths(unchanged: System, photograph: Photograph) -> None:
    length = str(len(photograph.body))
    assert Upload(unchanged).send(length, photograph.body, further="Content-Length: 7\r\n") in (400, None)
    assert is_absent(unchanged)


def test_a_body_over_the_limit_is_refused_before_it_is_sent(unchanged: System) -> None:
    assert Upload(unchanged).send("25000001", b"") == 413


# ---- Keys ----

GOOD_KEYS = [
    "with space", "a/b/c", "grüße/日本語/🖼", "k" * 255, "é" * 255, "a.b..c", "...", "100%", "a%2Fb", "?q#f",
    "plus+plus", "Case1", "case1", "case1 ", "semi;colon", "quote'\"<>&", "back\\slash", ".hidden",
]  # fmt: skip
BAD_KEYS = ["k" * 256, "..", ".", "a/../b", "a/./b", "a//b", "/a", "a/", "a\nb", "a\x00b", "a\x7fb", "e\u0301"]


def test_good_keys_are_kept_apart(system: System, few: tuple[Photograph, ...]) -> None:
    admin = system.admin()
    for key, photograph in zip(GOOD_KEYS, few, strict=False):
        assert admin.put(key, photograph.body).status == 201, key
    for key, photograph in zip(GOOD_KEYS, few, strict=False):
        assert admin.metadata(key).json["key"] == key
        assert system.client().get(key).body == photograph.body, key
        course = admin.course(f"key/{quote(key, safe='')}")
        assert (course["success"], base64.b64decode(course["content"])) == ("true", photograph.body)
    listed = [image["key"] for image in admin.list()]
    assert listed == sorted(listed, key=str.encode)
    assert set(GOOD_KEYS) <= set(listed)
    for key in GOOD_KEYS:
        assert admin.delete(key).status == 204, key
        assert system.client().get(key).status == 404, key


def test_an_encoded_slash_is_a_slash(system: System, photograph: Photograph) -> None:
    assert system.admin().request("PUT", "/api/images/one%2Ftwo", body=photograph.body).status == 201
    assert system.client().get("one/two").body == photograph.body
    assert system.admin().delete("one/two").status == 204


@pytest.mark.parametrize("key", BAD_KEYS, ids=ascii)
def test_bad_keys(unchanged: System, photograph: Photograph, key: str) -> None:
    path = quote(key, safe="")
    for method, prefix, body in (
        ("PUT", "/api/images/", photograph.body),
        ("GET", "/api/images/", None),
        ("DELETE", "/api/images/", None),
        ("GET", "/images/", None),
    ):
        # Not by urllib3, which tidies dots away.
        connection = http.client.HTTPConnection("127.0.0.1", unchanged.port(), timeout=60)
        connection.request(method, prefix + path, body, {"Authorization": f"Bearer {unchanged.admin().token}"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status == 400, (method, prefix, key, answer.status, text)
    course = unchanged.admin().course("upload", fields={"key": key, "file": ("a.jpg", photograph.body)})
    assert (course["success"], course["error"]["code"]) == ("false", 400)


def test_an_unknown_key(unchanged: System) -> None:
    admin = unchanged.admin()
    assert admin.metadata("unknown").problem == (404, "not-found")
    assert admin.delete("unknown").problem == (404, "not-found")
    assert unchanged.client().get("unknown").problem == (404, "not-found")
    course = admin.course("key/unknown")
    assert (course["success"], course["error"]["code"]) == ("false", 404)


# ---- Settings of the pool ----


@pytest.mark.parametrize(
    "query",
    [
        {"numNodes": "0"}, {"numNodes": "9"}, {"numNodes": "nan"}, {"numNodes": "abc"}, {"numNodes": "-1"},
        {"numNodes": "1.5"}, {"numNodes": "1e9999"}, {"cacheSize": "-1"}, {"cacheSize": "0"}, {"cacheSize": "nan"},
        {"policy": "FIFO"}, {"policy": "lru "}, {"mode": "turbo"}, {"expRatio": "nan"}, {"expRatio": "inf"},
        {"expRatio": "0.5"}, {"shrinkRatio": "nan"}, {"shrinkRatio": "2"}, {"shrinkRatio": "-1"},
        {"maxMiss": "nan"}, {"maxMiss": "1.5"}, {"minMiss": "-inf"}, {"minMiss": "0.9", "maxMiss": "0.1"},
        {"mode": "auto", "numNodes": "9"}, {"policy": "RR", "cacheSize": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_a_setting_that_makes_no_sense(unchanged: System, query: dict[str, str]) -> None:
    answer = unchanged.admin().request("POST", f"/api/configure_cache?{urlencode(query)}").json
    assert (answer["success"], answer["error"]["code"]) == ("false", 400)
    assert answer["error"]["message"]


@pytest.mark.parametrize("rate", ["", "hits", "nan"])
def test_an_unknown_rate(unchanged: System, rate: str) -> None:
    answer = unchanged.admin().course("getRate", rate=rate)
    assert (answer["success"], answer["error"]["code"]) == ("false", 400)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=abc", "limit=-1", "cursor=nonsense%00"])
def test_a_list_that_makes_no_sense(unchanged: System, query: str) -> None:
    assert unchanged.admin().request("GET", f"/api/images?{query}").problem == (400, "invalid-request")


def test_an_unknown_path_and_a_wrong_method(unchanged: System) -> None:
    assert unchanged.admin().request("GET", "/api/nothing").status == 404
    assert unchanged.admin().request("PATCH", "/api/images").status == 405
    assert unchanged.admin().request("GET", "/api/upload").status == 405
