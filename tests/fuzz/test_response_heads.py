"""Valid responses that our parser takes, h11 and httptools understand in the same way.

It takes some that are invalid, which none of our servers sends.
"""

from __future__ import annotations

import contextlib
import re

import h11
import httptools
from hypothesis import example, given
from hypothesis import strategies as st
from testing.fuzzing import fuzz
from tests.fuzz.test_request_heads import among

from elastic_images.http.response_head import parse_response_head

LINES = among(
    b"HTTP/1.1 200 OK  HTTP/1.1 200 OK  HTTP/1.1 200 OK  HTTP/1.1 206 Partial Content  HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 204  HTTP/1.1 200  HTTP/1.0 200 OK  HTTP/1.1 20 OK  HTTP/1.1 +20 OK  HTTP/1.1 2 0 OK",
    b"HTTP/1.1 200 O\x00K  HTTP/1.1 600 OK  HTTP/1.1 099 OK  HTTP/1.1 -20 OK  HTTP/2 200 OK  ",
)
NAMES = among(
    b"Content-Length  content-length  CONTENT-LENGTH  Content-Type  ETag  Connection  Transfer-Encoding  X Cache",
    b"Content-Length   X-\xe9    Content-Length  X\x00",
)
VALUES = among(
    b'0  7  007  +7  -7  7_0  0x7  7, 7  1e1  99999999999  "etag"  close  Close  keep-alive  close, x  chunked',
    b"a\x00b  a\nb  a\rb  \xe9  \xb2  a\r\n b  a\x0bb  \x1c7  ",
)
ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b""])
COLONS = st.sampled_from([b": "] * 6 + [b":", b" : ", b":\t", b"", b":\x0b"])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    fields = draw(st.lists(st.tuples(NAMES, COLONS, VALUES, ENDS), max_size=4))
    whole = draw(LINES) + draw(ENDS) + b"Content-Length: 7\r\n" * draw(st.sampled_from([1, 1, 1, 0]))
    whole += b"".join(b"".join(parts) for parts in fields)
    if draw(st.sampled_from([False, False, True])):
        place = draw(st.integers(0, len(whole)))
        whole = whole[:place] + draw(st.binary(max_size=2)) + whole[place + draw(st.integers(0, 2)) :]
    return whole.removesuffix(b"\r\n").partition(b"\r\n\r\n")[0]


_UNUSUAL = re.compile(rb"(?<!\r)\n|\n[ \t]").search
"""Lines that end in LF alone, or are continued by the next one: h11 forgives them."""


def by_h11(head: bytes, body_bytes: int) -> tuple[int, dict[str, str], bool]:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(head + b"\r\n\r\n" + b"x" * body_bytes)
    event = connection.next_event()
    assert isinstance(event, h11.Response), event
    got = 0
    while isinstance(data := connection.next_event(), h11.Data):
        got += len(data.data)
    assert isinstance(data, h11.EndOfMessage), data
    assert got == body_bytes
    headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
    return event.status_code, headers, connection.our_state is h11.DONE


def by_httptools(head: bytes, body_bytes: int) -> tuple[int, dict[str, str], bool]:
    headers: dict[str, str] = {}
    body, complete = list[bytes](), list[bool]()

    class Told:
        def on_header(self, name: bytes, value: bytes) -> None:
            headers[name.decode().lower()] = value.decode("latin-1").strip(" \t")

        def on_body(self, data: bytes) -> None:
            body.append(data)

        def on_message_complete(self) -> None:
            complete.append(parser.should_keep_alive())

    parser = httptools.HttpResponseParser(Told())
    parser.feed_data(head + b"\r\n\r\n" + b"x" * body_bytes)
    assert len(complete) == 1
    assert len(b"".join(body)) == body_bytes
    return parser.get_status_code(), headers, complete[0]


@given(heads())
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 7")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: x, Close")
@fuzz(4000)
def test_what_we_take_others_understand_alike(head: bytes) -> None:
    try:
        found = parse_response_head(head)
    except (ValueError, LookupError):
        return
    if found.body_bytes > 1_000_000 or _UNUSUAL(head):
        return
    for parse in (by_h11, by_httptools):
        try:
            seen = parse(head, found.body_bytes)
        except (h11.RemoteProtocolError, httptools.HttpParserError):
            continue
        assert seen == (found.status, found.headers, found.keeps_connection), parse


@given(st.binary(max_size=200) | heads().map(lambda head: head[:30] + head))
@fuzz(2000)
def test_anything_else_is_refused_by_a_clear_error(head: bytes) -> None:
    with contextlib.suppress(ValueError, LookupError):
        parse_response_head(head)
