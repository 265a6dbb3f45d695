"""What clients see of `web` and of a node as bytes on a connection, by RFC 9110 and RFC 9112.

Where the standard leaves a choice (answer or close; 400 or another 4xx), every choice is taken.
"""

from __future__ import annotations

import io
import itertools
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from PIL import Image
from testing.photographs import Photograph
from testing.system import System, running
from testing.waiting import wait_for
from testing.wire import Closed, CutOff, Reply, Wire, many, request
from tests.system.conftest import StartSystem

SMALL, OTHER, BIG = "wire/small", "wire/other", "wire/big"


@pytest.fixture(scope="module")
def bodies(few: tuple[Photograph, ...]) -> dict[str, bytes]:
    picture = io.BytesIO()
    # Noise does not compress: 3 MB, more than a connection's buffers hold.
    Image.frombytes("RGB", (1000, 1000), random.Random(1).randbytes(3_000_000)).save(picture, "PNG")
    return {SMALL: few[0].body, OTHER: few[1].body, BIG: picture.getvalue()}


def fill(system: System, bodies: dict[str, bytes]) -> None:
    for key, body in bodies.items():
        assert system.admin().put(key, body).status == 201


@pytest.fixture(scope="module")
def web(system: System, bodies: dict[str, bytes]) -> System:
    """A system with two nodes and three images, older than the two seconds in which Last-Modified is left out."""
    system.scale(2)
    fill(system, bodies)
    wait_for(
        lambda: all("Last-Modified" in system.client().get(key).headers for key in bodies), "the images are settled"
    )
    return system


@pytest.fixture
def wire(web: System) -> Iterator[Wire]:
    with Wire(web.port(), token=web.admin().token) as connection:
        yield connection


@pytest.fixture(scope="module")
def closed_system(tmp_path_factory: pytest.TempPathFactory, bodies: dict[str, bytes]) -> Iterator[System]:
    """Images for those who are known, and a trusted proxy at 127.0.0.9."""
    with running(tmp_path_factory.mktemp("closed"), anonymous="none", trusted_proxies="127.0.0.9") as started:
        fill(started, bodies)
        yield started


def image(key: str) -> str:
    return f"/images/{key}"


def check_image(reply: Reply, body: bytes, *, status: int = 200, cache: str = "public") -> Reply:
    """An answer of the data plane as design section 4 says."""
    assert reply.status == status, (reply.status, reply.body[:200])
    assert reply.body == body
    assert reply.headers["date"]
    if status != 304:
        assert int(reply.headers["content-length"]) == len(body)
    if status in (200, 206):
        assert reply.headers["content-type"].startswith("image/")
        assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["etag"].startswith('"')
    assert reply.headers["cache-control"] == f"{cache}, no-cache"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert reply.headers["x-cache"] in ("HIT", "HIT-NEAR", "MISS", "BYPASS")
    # The node is named where it was asked.
    assert ("x-cache-node" in reply.headers) == (reply.headers["x-cache"] in ("HIT", "MISS"))
    assert not [name for name in reply.headers if name.startswith(("x-image-", "x-incarnation"))]
    return reply


# ---- Kept connections ----


def test_one_connection_carries_many_requests_of_every_kind_in_every_order(
    web: System, bodies: dict[str, bytes]
) -> None:
    def read(wire: Wire) -> None:
        check_image(wire.ask(image(SMALL)), bodies[SMALL])

    def page(wire: Wire) -> None:
        assert wire.ask("/healthz").status == 200

    def post(wire: Wire) -> None:
        assert b"wire/small" in wire.ask("/api/list_keys", method="POST", body=b"").body

    def head(wire: Wire) -> None:
        reply = wire.ask(image(OTHER), method="HEAD")
        assert (reply.status, int(reply.headers["content-length"])) == (200, len(bodies[OTHER]))

    def missing(wire: Wire) -> None:
        reply = wire.ask(image("wire/none"))
        assert (reply.status, reply.headers["content-type"]) == (404, "application/problem+json")

    for order in itertools.permutations((read, page, post, head, missing), 4):
        with Wire(web.port(), token=web.admin().token) as wire:
            for step in order:
                step(wire)
            for _ in range(3):
                read(wire)
            wire.assert_silent()


def test_conditions_and_ranges_on_one_connection(wire: Wire, bodies: dict[str, bytes]) -> None:
    body = bodies[SMALL]
    first = check_image(wire.ask(image(SMALL)), body)
    tag, modified = first.headers["etag"], first.headers["last-modified"]
    old = "Mon, 01 Jan 2001 00:00:00 GMT"
    not_modified = [
        (f"If-None-Match: {tag}",),
        (f'If-None-Match: "a", W/{tag}, "b"',),
        ("If-None-Match: *",),
        (f"If-Modified-Since: {modified}",),
        (f"If-None-Match: {tag}", f"If-Modified-Since: {old}"),
    ]
    whole = [
        ('If-None-Match: "a", "b"',),
        (f"If-Modified-Since: {old}",),
        ('If-None-Match: "a"', f"If-Modified-Since: {modified}"),
        ("Range: bytes=0-9", 'If-Range: "a"'),
        ("Range: bytes=0-9", f"If-Range: W/{tag}"),
        ("Range: lines=0-9",),
        ("Range: nonsense",),
        (f"If-Match: {tag}",),
    ]
    parts = [
        (("Range: bytes=0-9",), 0, 10),
        (("Range: bytes=-7",), len(body) - 7, len(body)),
        ((f"Range: bytes={len(body) - 3}-",), len(body) - 3, len(body)),
        (("Range: bytes=5-99999999",), 5, len(body)),
        (("Range: bytes=0-9", f"If-Range: {tag}"), 0, 10),
        (("Range: bytes=0-9", f"If-Range: {modified}"), 0, 10),
    ]
    for key_fields in not_modified:
        for method in ("GET", "HEAD"):
            reply = wire.ask(image(SMALL), *key_fields, method=method)
            check_image(reply, b"", status=304)
            assert reply.headers["etag"] == tag
        check_image(wire.ask(image(OTHER)), bodies[OTHER])
    for key_fields in whole:
        check_image(wire.ask(image(SMALL), *key_fields), body)
    for key_fields, start, stop in parts:
        reply = check_image(wire.ask(image(SMALL), *key_fields), body[start:stop], status=206)
        assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(body)}"
    reply = wire.ask(image(SMALL), f"Range: bytes={len(body)}-")
    assert (reply.status, reply.headers["content-range"]) == (416, f"bytes */{len(body)}")
    assert wire.ask(image(SMALL), 'If-Match: "a"').status == 412
    assert wire.ask(image(SMALL), f"If-Unmodified-Since: {old}").status == 412
    check_image(wire.ask(image(SMALL)), body)
    wire.assert_silent()


def test_a_rendition(wire: Wire, bodies: dict[str, bytes]) -> None:
    for _ in range(2):
        reply = wire.ask(image(BIG) + "?rendition=thumb")
        assert reply.status == 200
        assert max(Image.open(io.BytesIO(reply.body)).size) == 320
    assert wire.ask(image(BIG) + "?rendition=none").status == 400
    for path in (image(SMALL) + "?", image(SMALL) + "?x=1&y", image(SMALL) + "?%zz"):
        check_image(wire.ask(path), bodies[SMALL])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_keys_in_paths(wire: Wire, few: tuple[Photograph, ...], method: str) -> None:
    fresh_port = wire.socket.getpeername()[1]
    keys = ["wire/grüße/🖼", "w" * 255, "é" * 255, "wire/100%", "wire/a+b;c,d=e'f(g)!$&*:@~", "wire/q?#f"]
    for key, photograph in zip(keys, few, strict=False):
        assert wire.ask(f"/api/images/{quote(key)}", method="PUT", body=photograph.body).status in (200, 201)
        for spelled in (quote(key), quote(key, safe=""), "".join(f"%{byte:02x}" for byte in key.encode())):
            for _ in range(2):
                reply = wire.ask(image(spelled), method=method)
                assert reply.status == 200, spelled
                assert int(reply.headers["content-length"]) == len(photograph.body)
                assert reply.body == (photograph.body if method == "GET" else b"")
        if key == keys[0]:
            # On connections of their own, too: what a connection carried before must not matter.
            with Wire(fresh_port) as fresh:
                assert int(fresh.ask(image(quote(key)), method=method).headers["content-length"]) == len(
                    photograph.body
                )


BAD_PATHS = [
    "%ff", "%c3", "a%00b", "..", "a/../b", "a/./b", "a//b", "a/", "/a", "%2e%2e", "a%2F..%2Fb", "%2Fa", "", "w" * 256,
    "%0a", "%7f", "a%0d%0aX:%20y", "e%cc%81",
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_invalid_keys(web: System, bodies: dict[str, bytes], path: str) -> None:
    for method in ("GET", "HEAD"):
        with Wire(web.port()) as wire:
            # Nothing behind the slash is a path that may be unknown as well.
            assert wire.ask(image(path), method=method).status in ((400, 404) if path == "" else (400,))
            check_image(wire.ask(image(SMALL)), bodies[SMALL])


@pytest.mark.parametrize("path", ["%", "%zz", "a%2", "%u1234"])
def test_an_invalid_escape_stands_for_itself_or_is_refused(web: System, path: str) -> None:
    with Wire(web.port()) as wire:
        assert wire.ask(image(path)).status in (400, 404)


# ---- Pieces and pipelines ----


def test_requests_in_one_segment_are_answered_in_order_and_whole(web: System, bodies: dict[str, bytes]) -> None:
    with Wire(web.port(), token=web.admin().token) as wire:
        keys = [SMALL, OTHER, BIG, SMALL, BIG, OTHER] * 3
        wire.send(b"".join(wire.request(image(key)) for key in keys))
        for key in keys:
            check_image(wire.read(), bodies[key])
        upload = wire.request("/api/images/wire/put", method="PUT", body=bodies[OTHER])
        wire.send(wire.request(image(SMALL)) + upload + wire.request(image("wire/put")) + wire.request("/healthz"))
        check_image(wire.read(), bodies[SMALL])
        assert wire.read().status in (200, 201)
        check_image(wire.read(), bodies[OTHER])
        assert wire.read().status == 200
        wire.assert_silent()


def test_a_request_may_be_split_anywhere(web: System, bodies: dict[str, bytes]) -> None:
    one = request(image(SMALL))
    two = one + request("/healthz") + request(image(OTHER), method="HEAD")
    with Wire(web.port()) as kept:
        for point in range(1, len(one)):
            kept.send(one[:point])
            kept.send(one[point:])
            check_image(kept.read(), bodies[SMALL])
    for point in range(1, len(two), 3):
        with Wire(web.port()) as wire:
            wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.send(two[:point])
            if point > len(one):
                check_image(wire.read(), bodies[SMALL])
            wire.send(two[point:])
            if point <= len(one):
                check_image(wire.read(), bodies[SMALL])
            assert wire.read().status == 200
            assert wire.read("HEAD").status == 200


def test_large_answers_one_after_another_to_a_slow_reader(web: System, bodies: dict[str, bytes]) -> None:
    with Wire(web.port()) as wire:
        wire.send(request(image(BIG)) * 4 + request("/healthz"))
        # It reads nothing, and others are answered.
        with Wire(web.port()) as other:
            for _ in range(20):
                check_image(other.ask(image(BIG)), bodies[BIG])
        for _ in range(4):
            check_image(wire.read(), bodies[BIG])
        assert wire.read().status == 200


@pytest.mark.parametrize("path", [image(SMALL), image(BIG), "/healthz"])
def test_a_client_that_shuts_its_side_gets_the_answer_or_a_clean_end(web: System, path: str) -> None:
    with Wire(web.port()) as wire:
        wire.send(request(path))
        wire.socket.shutdown(socket.SHUT_WR)
        try:
            assert wire.read().status == 200
        except Closed:
            pass  # a server may take the end of what it reads for the end of the connection
        except CutOff:
            assert path == image(BIG)  # or may do so in the middle of a large answer
        wire.rest()
    with Wire(web.port()) as wire:
        wire.send(request(path)[:-2])
        wire.socket.shutdown(socket.SHUT_WR)
        # Nothing, or a 400: but an end.
        assert not wire.rest().startswith(b"HTTP/1.1 2")


def test_odd_connections_leave_no_descriptor_behind(web: System, bodies: dict[str, bytes]) -> None:
    port, (process,) = web.port(), web.find("web")
    web.client().get(SMALL)
    before = process.num_fds()
    for number in range(60):
        Wire(port).reset()
        cut = Wire(port)
        cut.send(request(image(BIG)) * 3)
        if number % 2:
            cut.socket.recv(1000)
        cut.reset()
        passed = Wire(port)
        passed.send(request("/readyz") + request(image(SMALL), method="HEAD"))
        if number % 2:
            passed.read()
        passed.reset()
        half = Wire(port, token=web.admin().token)
        half.send(half.request("/api/images/wire/cut", method="PUT", body=bodies[SMALL])[:-100])
        half.reset()
        short = Wire(port)
        short.send(b"GET /images/")
        short.socket.close()
    wait_for(lambda: process.num_fds() <= before + 8, f"descriptors are as many as before, {before}")
    with Wire(port) as wire:
        check_image(wire.ask(image(SMALL)), bodies[SMALL])


def test_others_are_answered_while_many_connections_are_idle_or_slow(web: System, bodies: dict[str, bytes]) -> None:
    with many(web.port(), 300) as idle, Wire(web.port()) as slow, Wire(web.port()) as wire:
        for number, one in enumerate(idle):
            if number % 3:
                one.send(request(image(SMALL))[: number % 60] if number % 3 == 1 else request("/healthz"))
        for byte in request(image(OTHER)):
            slow.send(bytes([byte]))
            check_image(wire.ask(image(SMALL)), bodies[SMALL])
        check_image(slow.read(), bodies[OTHER])
        for number, one in enumerate(idle):
            if number % 3 == 2:
                assert one.read().status == 200
            elif number % 3 == 1:
                one.send(request(image(SMALL))[number % 60 :])
                check_image(one.read(), bodies[SMALL])
            else:
                check_image(one.ask(image(SMALL)), bodies[SMALL])


def test_it_is_alive_while_uploads_are_slow(web: System, bodies: dict[str, bytes]) -> None:
    with many(web.port(), 16) as uploads, Wire(web.port()) as wire:
        for number, upload in enumerate(uploads):
            upload.token = web.admin().token
            upload.send(upload.request(f"/api/images/wire/slow{number}", method="PUT", body=bodies[SMALL])[:-9])
        for _ in range(5):
            assert wire.ask("/healthz").status == 200
            with Wire(web.port()) as reader:
                check_image(reader.ask(image(BIG)), bodies[BIG])
        for upload in uploads:
            upload.send(bodies[SMALL][-9:])
        assert {upload.read().status for upload in uploads} <= {200, 201, 503}  # 503: more than it takes at a time


# ---- Versions, lengths, smuggling ----


def test_connection_close(web: System, bodies: dict[str, bytes]) -> None:
    for path in (image(SMALL), image(BIG), "/healthz"):
        with Wire(web.port()) as wire:
            reply = wire.ask(path, "Connection: close")
            assert (reply.status, reply.headers["connection"].lower()) == (200, "close")
            assert wire.rest() == b""
        with Wire(web.port()) as wire:
            # What follows the wish is no request any more.
            wire.send(request(path, "Connection: close") + request(image(SMALL)))
            assert wire.read().status == 200
            assert wire.rest() == b""
    with Wire(web.port()) as wire:
        for value in ("keep-alive", "Keep-Alive", "x-nothing"):
            check_image(wire.ask(image(SMALL), f"Connection: {value}"), bodies[SMALL])


def test_http_1_0(web: System) -> None:
    for path in (image(SMALL), "/healthz"):
        with Wire(web.port()) as wire:
            wire.send(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            assert wire.read().status == 200
            assert wire.rest() == b""
        with Wire(web.port()) as wire:
            for _ in range(2):
                wire.send(f"GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".encode())
                assert wire.read().status == 200


def test_expect_100_continue(wire: Wire, bodies: dict[str, bytes]) -> None:
    check_image(wire.ask(image(SMALL)), bodies[SMALL])
    whole = wire.request("/api/images/wire/expect", "Expect: 100-continue", method="PUT", body=bodies[OTHER])
    wire.send(whole[: -len(bodies[OTHER])])
    assert wire.read().status == 100
    wire.send(bodies[OTHER])
    assert wire.read().status == 201
    check_image(wire.ask(image("wire/expect")), bodies[OTHER])


SMUGGLED = request("/images/wire/smuggled", "X-Smuggled: 1")


def answers(wire: Wire) -> list[int]:
    """The status of every answer until the connection ends. What was sent last asks for that."""
    found = []
    try:
        while True:
            found.append(wire.read().status)
    except Closed:
        return found


@pytest.mark.parametrize("path", [image(SMALL), image("wire/none"), "/healthz"])
def test_the_body_of_a_get_is_not_a_request(web: System, path: str) -> None:
    chunks = b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n"
    expected = 404 if path == image("wire/none") else 200
    for head, body in (
        ([f"Content-Length: {len(SMUGGLED)}"], SMUGGLED),
        (["Transfer-Encoding: chunked"], chunks),
        (["transfer-encoding: Chunked", "Range: bytes=0-"], chunks),
        (["Content-Length: 0"], b""),
    ):
        for method in ("GET", "HEAD", "POST"):
            with Wire(web.port()) as wire:
                wire.send(request(path, *head, method=method) + body + request(image(OTHER), "Connection: close"))
                first = wire.read(method)
                if method != "POST":
                    assert first.status in (expected, 206, 400, 411)
                left = answers(wire)
                # One more answer, or none where the server would not go on behind such a body.
                assert left in ([200], []), (head, method, left)


def test_a_body_that_reads_like_a_delete_deletes_nothing(web: System, bodies: dict[str, bytes]) -> None:
    """Also where whoever sends it may delete: with the token, on a connection of images and on one of pages."""
    token = web.admin().token
    delete = request(f"/api/images/{SMALL}", method="DELETE", token=token)
    chunks = b"%x\r\n" % len(delete) + delete + b"\r\n0\r\n\r\n"
    for path in (image(SMALL), image("wire/none"), "/api/images", "/healthz"):
        for fields, body in (
            ([f"Content-Length: {len(delete)}"], delete),
            (["Transfer-Encoding: chunked"], chunks),
        ):
            for method in ("GET", "HEAD"):
                for before in (b"", request(image(OTHER), token=token)):
                    with Wire(web.port(), token=token) as wire:
                        last = request(image(OTHER), "Connection: close")
                        wire.send(before + wire.request(path, *fields, method=method) + body + last)
                        if before:
                            check_image(wire.read(), bodies[OTHER])
                        assert wire.read(method).status in (200, 400, 404, 411)
                        assert answers(wire) in ([200], []), (path, fields, method)
    assert web.admin().metadata(SMALL).status == 200
    assert web.client().get(SMALL).body == bodies[SMALL]


def test_an_image_comes_and_goes_on_one_connection(wire: Wire, bodies: dict[str, bytes]) -> None:
    path = image("wire/comes")
    for body in (bodies[SMALL], bodies[OTHER]):
        assert wire.ask(path).status == 404
        assert wire.ask("/api/images/wire/comes", method="PUT", body=body).status == 201
        for _ in range(3):
            check_image(wire.ask(path), body)
            assert int(wire.ask(path, method="HEAD").headers["content-length"]) == len(body)
        assert wire.ask("/api/images/wire/comes", method="DELETE").status == 204
        assert wire.ask(path, method="HEAD").status == 404
    assert wire.ask(path).status == 404
    wire.assert_silent()


def test_an_upload_in_chunks_needs_a_length(web: System, bodies: dict[str, bytes]) -> None:
    body = bodies[OTHER]
    with Wire(web.port(), token=web.admin().token) as wire:
        check_image(wire.ask(image(SMALL)), bodies[SMALL])
        head = wire.request("/api/images/wire/chunked", "Transfer-Encoding: chunked", method="PUT")
        wire.send(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n" + request(image(SMALL), "Connection: close"))
        assert wire.read().status == 411
        # What follows is answered, or nothing more is: the chunks are not taken for requests.
        assert answers(wire) in ([200], [])
    assert web.admin().metadata("wire/chunked").status == 404


def test_an_image_is_answered_the_same_in_every_way(web: System) -> None:
    """Whether at once, or by the server behind: with the same header fields, those for security among them."""
    vary = {"date", "server", "x-cache", "x-cache-node", "connection", "content-length"}
    tag = web.client().get(SMALL).headers["ETag"]
    kinds: list[tuple[str, str, tuple[str, ...], int]] = [
        ("GET", image(SMALL), (), 200),
        ("HEAD", image(SMALL), (), 200),
        ("GET", image(SMALL), ("Range: bytes=0-9",), 206),
        ("GET", image(SMALL), (f"If-None-Match: {tag}",), 304),
        ("GET", image(SMALL), ("Range: bytes=99999999-",), 416),
        ("GET", image(SMALL), ('If-Match: "a"',), 412),
        ("GET", image("wire/none"), (), 404),
        ("GET", image("a//b"), (), 400),
    ]
    for method, path, fields, status in kinds:
        seen = []
        # RFC 9110, 10.1.4: a field that changes nothing here; a query that means nothing; a page's connection.
        for further, query, first in (
            ((), "", ""),
            (("TE: trailers", "Connection: TE"), "", ""),
            ((), "?x=1", ""),
            ((), "", "/healthz"),
            ((), "", image(OTHER)),
        ):
            with Wire(web.port()) as wire:
                if first:
                    assert wire.ask(first).status == 200
                for _ in range(2):
                    reply = wire.ask(path + query, *fields, *further, method=method)
                    assert (reply.status, bool(reply.headers["date"])) == (status, True)
                    seen.append({name: value for name, value in reply.headers.items() if name not in vary})
        assert all(one == seen[0] for one in seen), (method, path, fields, seen)


AMBIGUOUS = [
    ["Content-Length: 4", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Content-Length: 4"],
    ["Content-Length: 4", "Content-Length: 60"],
    ["Content-Length: 4, 60"],
    ["Content-Length: +4"],
    ["Content-Length: 0x4"],
    ["Transfer-Encoding: chunked, identity"],
    ["Transfer-Encoding: identity"],
    ["Transfer-Encoding: xchunked"],
    ["Transfer-Encoding : chunked"],
    ["Content-Length : 60"],
    ["Content_Length: 60"],
    ["Host: evil.example"],
    ["Host: localhost"],
]


@pytest.mark.parametrize("fields", AMBIGUOUS, ids=str)
@pytest.mark.parametrize("path", [image(SMALL), "/api/list_keys"])
def test_an_ambiguous_request_is_refused_or_taken_in_one_way(web: System, path: str, fields: list[str]) -> None:
    """Never a 5xx, never more than one answer to what may be a body, and the next connection works."""
    for method in ("GET", "POST"):
        with Wire(web.port()) as wire:
            wire.send(request(path, *fields, "Connection: close", method=method) + b"0\r\n\r\n" + SMUGGLED)
            found = answers(wire)
        assert len(found) <= 1, (method, found)
        assert all(status < 500 for status in found)
        if fields[0].startswith("Host:"):
            assert not found or 400 <= found[0] < 500, found  # RFC 9112, section 3.2
    assert web.client().get(SMALL).status == 200


@pytest.mark.parametrize("path", [image(SMALL), image("wire/none"), "/", "/api/images"])
def test_a_request_without_an_allowed_host_is_refused(web: System, bodies: dict[str, bytes], path: str) -> None:
    for line in (None, "Host: evil.example", "Host:", "Host: a b", "Host: localhost, evil.example", "Host: [::1"):
        with Wire(web.port()) as wire:
            lines = [
                f"GET {path} HTTP/1.1",
                *([line] if line is not None else []),
                "X-Forwarded-Host: localhost",
                "",
                "",
            ]
            wire.send("\r\n".join(lines).encode())
            reply = wire.read()
            assert (reply.status, bodies[SMALL] in reply.body) == (400, False), line


def test_a_foreign_host_after_a_right_one_is_refused(web: System, bodies: dict[str, bytes]) -> None:
    with Wire(web.port()) as wire:
        check_image(wire.ask(image(SMALL)), bodies[SMALL])
        wire.send(request(image(SMALL)).replace(b"localhost", b"evil.example"))
        assert wire.read().status == 400


def test_the_absolute_form(web: System, bodies: dict[str, bytes]) -> None:
    with Wire(web.port()) as wire:
        wire.send(f"GET http://localhost:{web.port()}/images/{SMALL} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        check_image(wire.read(), bodies[SMALL])
        wire.send(f"GET http://evil.example/images/{SMALL} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert wire.read().status == 400


ODD = {
    "bare line feeds": b"GET /images/wire/small HTTP/1.1\nHost: localhost\n\n",
    "one bare line feed": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
    "folded": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
    "space before the colon": b"GET /images/wire/small HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "NUL in a value": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    "control in a value": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\r\nX: a\x1bb\r\n\r\n",
    "CR in a value": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
    "odd name": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\r\nX(y): a\r\n\r\n",
    "name beyond ASCII": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\r\n\xe9: a\r\n\r\n",
    "no name": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\r\n: a\r\n\r\n",
    "no colon": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\r\nnonsense\r\n\r\n",
    "100 KB": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "1,000 fields": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 1000 + b"\r\n",
    "a long path": b"GET /images/" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no version": b"GET /images/wire/small\r\nHost: localhost\r\n\r\n",
    "unknown version": b"GET /images/wire/small HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "lower case": b"get /images/wire/small HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two spaces": b"GET  /images/wire/small  HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a fragment": b"GET /images/wire/small#x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bytes beyond ASCII": b"GET /images/wire/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "NUL in the path": b"GET /images/wire/\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160),
    "noise": random.Random(2).randbytes(4096) + b"\r\n\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tunnel": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another protocol": b"GET /images/wire/small HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
}
# RFC 9112 lets a server read these (sections 2.2, 3 and 5.2), or they mean nothing wrong.
MAY_BE_READ = {
    "bare line feeds", "one bare line feed", "folded", "100 KB", "1,000 fields", "a fragment", "another protocol",
    "control in a value", "odd name", "name beyond ASCII", "two spaces", "bytes beyond ASCII", "an asterisk",
    "lower case",
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("kept", [False, True], ids=["first", "kept"])
def test_an_odd_request_is_answered_or_the_connection_closed(
    web: System, bodies: dict[str, bytes], name: str, kept: bool
) -> None:
    with Wire(web.port()) as wire:
        if kept:
            check_image(wire.ask(image(SMALL)), bodies[SMALL])
        wire.send(ODD[name])
        # These may be the beginning of something: nothing more comes, so that it must end.
        if name in ("TLS", "noise"):
            wire.socket.shutdown(socket.SHUT_WR)
        try:
            status = wire.read().status
        except Closed:
            status = 400
        assert 400 <= status < 500 or (name in MAY_BE_READ and status == 200), status
    with Wire(web.port()) as wire:
        check_image(wire.ask(image(SMALL)), bodies[SMALL])


# ---- Rights ----


def test_cookies_and_tokens_do_not_matter_to_public_images(web: System, bodies: dict[str, bytes]) -> None:
    with Wire(web.port()) as wire:
        for fields in (
            ("Cookie: a=b; c=d",),
            ("Authorization: Bearer wrong",),
            ("Authorization: Basic eA==", "Cookie: x=y"),
        ):
            check_image(wire.ask(image(SMALL), *fields), bodies[SMALL])
            check_image(wire.ask(image(SMALL), *fields, "Sec-Fetch-Site: cross-site"), bodies[SMALL])
        assert wire.ask("/api/images").status == 401


def test_every_request_needs_rights_of_its_own(closed_system: System, bodies: dict[str, bytes]) -> None:
    good = f"Authorization: Bearer {closed_system.admin().token}"
    with Wire(closed_system.port()) as wire:
        for path in (image(SMALL), image("wire%2Fsmall"), image(SMALL) + "?rendition=thumb", image("wire/none")):
            for method in ("GET", "HEAD"):
                for fields in ((), ("Authorization: Bearer wrong",), ("Cookie: session=x",), ("Range: bytes=0-1",)):
                    expected = 404 if path == image("wire/none") else 200
                    assert wire.ask(path, good, method=method).status == expected
                    refused = wire.ask(path, *fields, method=method)
                    assert refused.status == 401
                    assert bodies[SMALL] not in refused.body
        check_image(wire.ask(image(SMALL), good), bodies[SMALL], cache="private")
        wire.send(request(image(SMALL), good) + request(image(SMALL)) + request(image(SMALL), good))
        assert [wire.read().status for _ in range(3)] == [200, 401, 200]


# ---- Addresses ----


def fail_login(port: int, source: str, number: int, *fields: str) -> int:
    """The status of a login with a wrong password."""
    form = urlencode({"name": "nobody", "password": "wrong"}).encode()
    with Wire(port, source=source) as wire:
        kind = "Content-Type: application/x-www-form-urlencoded"
        # On a connection that carried an image before, and one that did not.
        if number % 2:
            wire.ask(image(SMALL), *fields)
        return wire.ask("/login", kind, *fields, method="POST", body=form).status


def refused_from(port: int, source: str, *fields: str) -> int:
    """After how many failed logins the address is refused."""
    for number in range(20):
        status = fail_login(port, source, number, *fields)
        if status == 429:
            return number
        assert status == 401
    raise AssertionError("never refused")


def test_logins_are_counted_by_the_clients_address(web: System) -> None:
    assert refused_from(web.port(), "127.0.0.2") == 10
    assert fail_login(web.port(), "127.0.0.2", 99) == 429
    # Another address is not; and nobody who is not trusted names another one.
    assert fail_login(web.port(), "127.0.0.3", 99) == 401
    assert fail_login(web.port(), "127.0.0.2", 98, "X-Forwarded-For: 192.0.2.1") == 429
    assert fail_login(web.port(), "127.0.0.2", 97, "Forwarded: for=192.0.2.1", "X-Real-IP: 192.0.2.1") == 429


def test_only_a_trusted_proxy_names_the_client(closed_system: System) -> None:
    port, one, other = closed_system.port(), "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"
    assert refused_from(port, "127.0.0.9", one) == 10
    assert fail_login(port, "127.0.0.9", 99, other) == 401
    # What the client wrote itself stands further left than what the proxy wrote.
    assert fail_login(port, "127.0.0.9", 98, "X-Forwarded-For: 192.0.2.7, 192.0.2.1") == 429
    assert fail_login(port, "127.0.0.4", 99, one) == 401


def test_only_a_trusted_proxy_names_the_host(start_system: StartSystem, bodies: dict[str, bytes]) -> None:
    system = start_system(trusted_proxies="127.0.0.9")
    assert system.admin().put(SMALL, bodies[SMALL]).status == 201
    ours, foreign = "localhost", "evil.example"
    for path in (image(SMALL), image("wire/none"), "/login"):
        good = 404 if path == image("wire/none") else 200
        for source, host, forwarded, status in (
            ("127.0.0.9", foreign, ours, good),
            ("127.0.0.9", ours, foreign, 400),
            ("127.0.0.9", ours, ours, good),
            ("127.0.0.4", foreign, ours, 400),
            ("127.0.0.4", ours, foreign, good),
        ):
            for method in ("GET", "HEAD"):
                with Wire(system.port(), source=source) as wire:
                    # The same fields twice: what is remembered of them holds for this address alone.
                    for _ in range(2):
                        asked = request(path, f"X-Forwarded-Host: {forwarded}", method=method)
                        wire.send(asked.replace(b"Host: localhost", f"Host: {host}".encode(), 1))
                        assert wire.read(method).status == status, (path, source, host, forwarded)


# ---- Nodes ----


def test_a_node_on_the_wire(web: System, bodies: dict[str, bytes]) -> None:
    token = (web.data / "internal-token").read_text().strip()
    good = f"Authorization: Bearer {token}"
    for slot in (0, 1):
        assert web.node(slot)
    nodes = {node["slot"]: node["incarnation"] for node in web.pool()["nodes"]}
    owner = {key: int(web.admin().metadata(key).json["node"]) for key in bodies}
    for key, body in bodies.items():
        port = web.port("memcache") + owner[key]
        mine = f"X-Incarnation: {nodes[owner[key]]}"
        with Wire(port) as wire:
            for _ in range(2):
                for fields in ((), ("Authorization: Bearer wrong",), (f"Authorization: {token}",)):
                    for path in (image(key), f"/peer/{key}", "/stats"):
                        assert wire.ask(path, *fields).status == 401
                reply = wire.ask(image(key), good, mine)
                assert (reply.status, reply.body, reply.headers["x-cache"] in ("HIT", "MISS")) == (200, body, True)
                assert reply.headers["x-image-version"]
                assert reply.headers["date"]
                again = wire.ask(image(key), good)
                assert (again.body, again.headers["x-cache"]) == (body, "HIT")
                head = wire.ask(image(key), good, mine, method="HEAD")
                assert (head.status, int(head.headers["content-length"]), head.body) == (200, len(body), b"")
                tag = reply.headers["etag"]
                assert wire.ask(image(key), good, f"If-None-Match: {tag}").status == 304
                assert wire.ask(image(key), good, f"If-None-Match: {tag}", "X-Whole: 1").body == body
                assert wire.ask(image(key), good, "Range: bytes=1-4").body == body[1:5]
                assert wire.ask(image(key), good, "X-Incarnation: another").status == 409
                assert wire.ask(f"/peer/{key}", good, mine).status in (200, 421)
                assert wire.ask(image(key), good, "X-Stale: 1").status in (200, 404)
                assert wire.ask("/stats", good).status == 200
                assert wire.ask("/metrics").status == 200
                wire.send(request(image(key), good) * 3 + request("/healthz") + request(image(key), good, mine))
                assert [wire.read().body == body for _ in range(5)] == [True, True, True, False, True]
                wire.assert_silent()
        with Wire(web.port("memcache") + 1 - owner[key]) as wire:
            assert wire.ask(image(key), good).status == 421
            assert wire.ask(f"/peer/{key}", good).status in (404, 421)
            wire.assert_silent()


# ---- What is sent soon after a change; stopping ----


def test_last_modified_is_left_out_soon_after_a_change(wire: Wire, few: tuple[Photograph, ...]) -> None:
    for photograph in few[:3]:
        changed = time.time()
        assert wire.ask("/api/images/wire/changing", method="PUT", body=photograph.body).status in (200, 201)
        reply = check_image(wire.ask(image("wire/changing")), photograph.body)
        with Wire(wire.socket.getpeername()[1]) as fresh:
            also = check_image(fresh.ask(image("wire/changing")), photograph.body)
        if time.time() < changed + 1.5:  # on a machine that stood still meanwhile they may say it
            assert "last-modified" not in reply.headers
            assert "last-modified" not in also.headers
        assert wire.ask("/api/images/wire/changing", method="DELETE").status == 204


def test_a_stop_finishes_an_answer_and_closes_idle_connections(
    start_system: StartSystem, bodies: dict[str, bytes]
) -> None:
    system = start_system()
    fill(system, bodies)
    port, (process,) = system.port(), system.find("web")
    with Wire(port) as slow, Wire(port) as kept, Wire(port) as passed, Wire(port) as fresh:
        check_image(kept.ask(image(SMALL)), bodies[SMALL])
        assert passed.ask("/healthz").status == 200
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        slow.send(request(image(BIG)))
        start = slow.socket.recv(1000, socket.MSG_WAITALL)
        assert system.process is not None
        os.kill(system.process.pid, signal.SIGTERM)
        assert kept.rest() == passed.rest() == fresh.rest() == b""
        slow._held = start
        check_image(slow.read(), bodies[BIG])
        assert slow.rest() == b""
    assert system.stop() == 0 if system.process.poll() is None else system.process.returncode == 0
    assert not process.is_running() or process.status() == "zombie"
    system.start()
    assert system.client().get(SMALL).body == bodies[SMALL]
