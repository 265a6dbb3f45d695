"""What the front answers itself, two other parsers understand in the same way: h11, and httptools (Node's llhttp).

Otherwise a proxy in front and the front might see different requests in the same bytes (request smuggling).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import h11
import httptools
from hypothesis import example, given
from hypothesis import strategies as st
from testing.fuzzing import fuzz
from tests.unit.front.test_heads import Reads

from elastic_images.front.heads import PLAIN, Heads, plain_environ


def among(*lines: bytes) -> st.SearchStrategy[bytes]:
    """One of the texts in these lines, which are separated by two spaces."""
    return st.sampled_from([one for line in lines for one in line.split(b"  ")])


METHODS = among(b"GET  GET  GET  HEAD  HEAD  GET   get  POST  OPTIONS  G\tET  GE  ")
TARGETS = among(
    b"/images/k1  /images/a%20b/c.png?w=100  /images/  /images/?  /images/a#b  /images/a b  /images/%  *  /",
    b"http://images.example/images/k1  /images/\xc3\xa9  /images/a\x00b  /images/a\\b  /images/a?b?c  /images/{x}",
    b'/images/"  /images/a|b^c`d  /images/..;/x  /images/a\tb  /images/a%2Fb  /images/a&b=c+d  //images/k1',
)
VERSIONS = among(b"HTTP/1.1  HTTP/1.1  HTTP/1.1  HTTP/1.1  HTTP/1.1  HTTP/1.0  HTTP/2  http/1.1  HTTP/1.10  ")
NAMES = among(
    b"Host  host  Accept  If-None-Match  Range  Connection  Content-Length  Transfer-Encoding  X-Forwarded-For  Cookie",
    b"X_Forwarded_For  Expect  Upgrade  TE  Host    Host  X\tY  Content_Length  Transfer-Encoding   X\x00  X-\xe9",
    b"Trailer  Keep-Alive  Accept-Encoding  ",
)
VALUES = among(
    b'images.example  */*  close  keep-alive  0  5  chunked     a\x00b  a\rb  a\nb  a\r\n b  \xe9  a\x7fb  "etag"',
    b"bytes=0-1  100-continue  close, x  a\x0bb  a\tb  identity  +5  0x5  5, 5  ",
)
ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\r\n\r\n", b""])
COLONS = st.sampled_from([b": "] * 6 + [b":", b" : ", b":\t", b"", b"::"])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A request that is right in most places, up to its first empty line."""
    line = draw(METHODS) + b" " + draw(TARGETS) + b" " + draw(VERSIONS) + draw(ENDS)
    fields = draw(st.lists(st.tuples(NAMES, COLONS, VALUES, ENDS), max_size=5))
    whole = line + b"Host: images.example\r\n" * draw(st.sampled_from([1, 1, 1, 1, 0, 2]))
    whole += b"".join(b"".join(parts) for parts in fields) + b"\r\n"
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(whole)))
        gone = draw(st.integers(0, 2))
        whole = whole[:place] + draw(st.binary(max_size=2)) + whole[place + gone :]
    return whole[: (whole + b"\r\n\r\n").find(b"\r\n\r\n") + 4]


@dataclass
class Seen:
    """A request as a parser understood it."""

    method: bytes = b""
    target: bytes = b""
    fields: list[tuple[str, str]] = field(default_factory=list)


def by_h11(data: bytes) -> Seen:
    """Raises AssertionError or h11's error if this is not one whole request without a body."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    event = connection.next_event()
    assert isinstance(event, h11.Request), event
    assert isinstance(connection.next_event(), h11.EndOfMessage)
    assert connection.trailing_data[0] == b"", "something follows the request"
    return Seen(event.method, event.target, [_spelled(name, value) for name, value in event.headers])


def by_httptools(data: bytes) -> Seen:
    seen, complete = Seen(), list[str]()

    class Told:
        def on_url(self, url: bytes) -> None:
            seen.target += url

        def on_header(self, name: bytes, value: bytes) -> None:
            seen.fields.append(_spelled(name, value))

        def on_body(self, body: bytes) -> None:
            raise AssertionError(f"a body: {body!r}")

        def on_message_begin(self) -> None:
            assert not complete, "something follows the request"

        def on_message_complete(self) -> None:
            complete.append("one")

    parser = httptools.HttpRequestParser(Told())
    parser.feed_data(data)
    assert complete, "the request goes on"
    seen.method = parser.get_method()
    return seen


def _spelled(name: bytes, value: bytes) -> tuple[str, str]:
    return name.decode().lower(), value.decode("latin-1").strip(" \t")


def as_wsgi(fields: list[tuple[str, str]]) -> dict[str, str]:
    """Without names that WSGI would confuse, repeated fields as lists (RFC 9110, section 5.2), and without no body."""
    environ: dict[str, str] = {}
    for name, value in fields:
        if "_" not in name and (name, value) != ("content-length", "0"):
            spelled = "HTTP_" + name.upper().replace("-", "_")
            separator = "; " if name == "cookie" else ","
            environ[spelled] = f"{environ[spelled]}{separator}{value}" if spelled in environ else value
    return environ


@given(heads())
@example(b"GET /images/k1 HTTP/1.1\r\nHost: images.example\r\n\r\n")
@fuzz(4000)
def test_what_the_front_answers_others_understand_alike(head: bytes) -> None:
    request = Heads(Reads()).read(head, "10.0.0.1") if head.endswith(b"\r\n\r\n") else None
    if request is None:
        return
    environ = request.environ
    for parse in (by_h11, by_httptools):
        seen = parse(head)
        assert seen.method.decode() == environ["REQUEST_METHOD"]
        assert {name: value for name, value in environ.items() if name.startswith("HTTP_")} == as_wsgi(seen.fields)
        assert [name for name, _ in seen.fields].count("host") == 1
        assert seen.target.partition(b"?")[2].decode() == environ["QUERY_STRING"]


@given(heads())
@fuzz(2000)
def test_the_fast_path_sees_the_same(head: bytes) -> None:
    plain = PLAIN(head)
    if plain is None:
        return
    found = Heads(Reads())
    request = found.read(head, "10.0.0.1")
    fields = found.known.get(("10.0.0.1", head[plain.end() :]))
    if fields is not None:
        assert request is not None
        assert plain_environ(fields, plain[1].decode()) == request.environ
