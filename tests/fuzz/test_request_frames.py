"""What the front passes on, h11 and httptools understand as it does: the same fields, and the same end of the body."""

from __future__ import annotations

import contextlib
import re

import h11
import httptools
from hypothesis import example, given
from hypothesis import strategies as st
from testing.fuzzing import fuzz
from tests.fuzz.test_request_heads import among, heads

from elastic_images.core.errors import ElasticImagesError
from elastic_images.front.framing import RequestFrame

PIECES = among(
    b"5  5\r\n  hello  \r\n  0\r\n  0\r\n\r\n  0\r\n\r\n  5;x=y\r\n  +5\r\n  0x5\r\n  \n  \r  -1\r\n",
    b"00005\r\n  a: b\r\n  A\r\n",
)
PIECE = st.sampled_from([b"5\r\nhello\r\n", b"0\r\n\r\n", b"2\r\nhi\r\n", b"000001\r\nx\r\n"]) | PIECES
BODIES = st.lists(PIECE, max_size=6).map(b"".join)

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]").sub


def h11_end(data: bytes) -> tuple[bytes, int, int]:
    """The target, the length of the body, and how many bytes follow the request."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    event = connection.next_event()
    assert isinstance(event, h11.Request), event
    length = 0
    while isinstance(part := connection.next_event(), h11.Data):
        length += len(part.data)
    assert isinstance(part, h11.EndOfMessage), part
    return event.target, length, len(connection.trailing_data[0])


def httptools_body(data: bytes) -> int:
    """The length of the body of exactly one request."""
    body, complete = list[bytes](), list[str]()

    class Told:
        def on_body(self, part: bytes) -> None:
            body.append(part)

        def on_message_begin(self) -> None:
            assert not complete, "something follows the request"

        def on_message_complete(self) -> None:
            complete.append("one")

    with contextlib.suppress(httptools.HttpParserUpgrade):
        httptools.HttpRequestParser(Told()).feed_data(data)
    assert complete, "the request goes on"
    return len(b"".join(body))


@given(heads(), st.sampled_from([b"", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 12\r\n"]), BODIES)
@example(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n")
@example(b"GET http://b/images/k1 HTTP/1.1\r\nHost: a\r\n\r\n", b"", b"")
@fuzz(5000)
def test_what_is_passed_on_others_understand_alike(head: bytes, framing: bytes, sent: bytes) -> None:
    line, _, fields = head.partition(b"\r\n")
    try:
        frame = RequestFrame(line + b"\r\n" + framing + fields)
        taken = frame.body.take(sent)
    except ElasticImagesError:
        return
    if not frame.body.done:
        return
    passed_on = _BEYOND_ASCII(b"~", frame.head)  # many clients send it unquoted, which h11 does not forgive
    target, length, following = h11_end(passed_on + sent)
    assert target == passed_on.split(b" ")[1]
    assert following == len(sent) - taken
    with contextlib.suppress(httptools.HttpParserInvalidMethodError):  # it knows only some
        assert httptools_body(passed_on + sent[:taken]) == length
    if frame.length_bytes is not None:
        assert length == frame.length_bytes == taken
    names = [one.partition(b":")[0].lower() for one in frame.head.split(b"\r\n")[1:-2]]
    assert not any(b"_" in name for name in names)
    assert names.count(b"host") <= 1
    assert b"expect" not in names
