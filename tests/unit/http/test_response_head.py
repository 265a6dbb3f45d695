"""Heads of responses from our own servers."""

from __future__ import annotations

import pytest

from elastic_images.http.response_head import MAX_BODY_BYTES, ResponseHead, parse_response_head

OK = b"HTTP/1.1 200 OK\r\nContent-Length: "


def test_a_head_is_parsed() -> None:
    head = parse_response_head(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nCONTENT-LENGTH:  7 \r\nX-A:a:b")
    assert head == ResponseHead(
        200, {"content-type": "image/png", "content-length": "7", "x-a": "a:b"}, 7, keeps_connection=True
    )


@pytest.mark.parametrize("line", [b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200 Some words"])
def test_the_reason_may_be_missing(line: bytes) -> None:
    assert parse_response_head(line + b"\r\nContent-Length: 0").status == 200


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_statuses_have_no_body(status: bytes) -> None:
    assert parse_response_head(b"HTTP/1.1 " + status + b"\r\nContent-Length: 9").body_bytes == 0
    assert parse_response_head(b"HTTP/1.1 " + status).headers == {}


def test_the_response_to_head_has_no_body() -> None:
    assert parse_response_head(OK + b"9", to_head=True) == ResponseHead(
        200, {"content-length": "9"}, 0, keeps_connection=True
    )


@pytest.mark.parametrize("value", [b"close", b"Close", b" CLOSE "])
def test_the_server_may_close_the_connection(value: bytes) -> None:
    assert not parse_response_head(OK + b"0\r\nConnection: " + value).keeps_connection
    assert parse_response_head(OK + b"0\r\nConnection: keep-alive").keeps_connection


@pytest.mark.parametrize("length", [0, 1, MAX_BODY_BYTES])
def test_lengths_up_to_the_limit(length: int) -> None:
    assert parse_response_head(OK + str(length).encode()).body_bytes == length


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"nonsense",
        b"SSH-2.0-OpenSSH_9.2",
        b"HTTP/1.1",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0",
        b"HTTP/2 200\r\nContent-Length: 0",
        b"HTTP/1.1 20\r\nContent-Length: 0",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0",
        b"HTTP/1.1 abc OK\r\nContent-Length: 0",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
        OK + b"-1",
        OK + b"many",
        OK + str(MAX_BODY_BYTES + 1).encode(),
        OK + b"0\r\nno colon",
    ],
)
def test_anything_else_is_refused(head: bytes) -> None:
    with pytest.raises((ValueError, LookupError)):
        parse_response_head(head)
