"""Where requests and answers end; what could be read in two ways is refused."""

from __future__ import annotations

import pytest

from elastic_images.core.errors import ElasticImagesError, HeadTooLarge, InvalidRequest
from elastic_images.front.framing import AnswerFrame, Chunks, RequestFrame, is_hopeless


def frame(*fields: bytes, line: bytes = b"POST /login HTTP/1.1") -> RequestFrame:
    return RequestFrame(b"\r\n".join([line, b"Host: x", *fields, b"", b""]))


def test_a_request_is_passed_on_as_it_came() -> None:
    head = b"PUT /api/images/a%20b?x=y HTTP/1.1\r\nHost: x\r\nX-A:  b \r\nContent-Length: 12\r\n\r\n"
    read = RequestFrame(head)
    assert (read.head, read.method, read.length_bytes, read.awaits_continue) == (head, b"PUT", 12, False)
    assert not read.body.done


def test_without_a_length_there_is_no_body() -> None:
    assert frame().body.done
    assert frame(b"Content-Length: 0").body.done


def test_fields_that_wsgi_would_take_for_others_are_left_out() -> None:
    read = frame(b"X_Forwarded_For: 1.2.3.4", b"X-Forwarded-For: 5.6.7.8", b"Content_Length: 5")
    assert read.head == b"POST /login HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 5.6.7.8\r\n\r\n"
    assert read.body.done


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        (b"http://b.example/images/k?x=y", b"b.example", b"/images/k?x=y"),
        (b"HTTP://b.example:81/", b"b.example:81", b"/"),
        (b"https://[::1]", b"[::1]", b"/"),
        (b"http://b.example?x=y", b"b.example", b"/?x=y"),
    ],
)
def test_a_target_with_a_host_of_its_own_is_judged_by_that(target: bytes, host: bytes, path: bytes) -> None:
    read = frame(b"X-A: b", line=b"GET %b HTTP/1.1" % target)
    assert read.head == b"GET %b HTTP/1.1\r\nHost: %b\r\nX-A: b\r\n\r\n" % (path, host)


@pytest.mark.parametrize("target", [b"images/k", b"ftp://b/", b"http:///x", b"http://a@b/", b"http://b/#x", b"b:443"])
def test_other_targets_are_refused(target: bytes) -> None:
    with pytest.raises(InvalidRequest):
        frame(line=b"GET %b HTTP/1.1" % target)


def test_there_is_one_host_at_most() -> None:
    assert frame(line=b"OPTIONS * HTTP/1.1").head.startswith(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n")
    for line in (b"GET / HTTP/1.1", b"GET http://x/ HTTP/1.1"):
        with pytest.raises(InvalidRequest):
            frame(b"host: y", line=line)
    assert RequestFrame(b"GET / HTTP/1.0\r\n\r\n").body.done
    with pytest.raises(InvalidRequest):
        RequestFrame(b"GET / HTTP/1.1\r\n\r\n")


def test_the_front_obeys_expect() -> None:
    read = frame(b"Expect: 100-Continue", b"Content-Length: 5")
    assert read.awaits_continue
    assert b"xpect" not in read.head
    assert not frame(b"Expect: 100-continue", line=b"POST / HTTP/1.0").awaits_continue


@pytest.mark.parametrize(
    "fields",
    [
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: +5"],
        [b"Content-Length: -5"],
        [b"Content-Length: 0x5"],
        [b"Content-Length: 5 5"],
        [b"Content-Length:"],
        [b"Content-Length: " + b"9" * 16],
        [b"Content-Length: \xb2"],
        [b"Content-Length : 5"],
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding:\x0bchunked"],
        [b" Content-Length: 5"],
        [b"X: a", b"\tb"],
        [b"X: a\nContent-Length: 5"],
        [b"X: a\rb"],
        [b"X: \x00"],
        [b"X"],
        [b": x"],
        [b"X Y: z"],
        [b"X\xe9: z"],
    ],
)
def test_an_ambiguous_head_is_refused(fields: list[bytes]) -> None:
    with pytest.raises(InvalidRequest):
        frame(*fields)


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.2",
        b"GET / HTTP/2.0",
        b"PRI * HTTP/2.0",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"G(T / HTTP/1.1",
        b"CONNECT localhost:80 HTTP/1.1",
    ],
)
def test_another_request_line_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidRequest):
        frame(line=line)


def test_chunks_need_http_1_1() -> None:
    with pytest.raises(InvalidRequest):
        frame(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0")
    assert frame(b"transfer-encoding: Chunked ").length_bytes is None


def test_a_head_is_bounded() -> None:
    with pytest.raises(HeadTooLarge):
        frame(b"X: " + b"x" * 20_000)


@pytest.mark.parametrize(("start", "hopeless"), [
    (b"G", False), (b"POST /x HTTP/1.1\r", False), (b"POST /x HTTP/1.1\r\nX: y", False),
    (b"\x16\x03\x01", True), (b" GET", True), (b"GET / HTTP/1.1\n", True), (b"GET / HTTP/1.1\r\nHost: x\n", True),
])  # fmt: skip
def test_what_can_never_become_a_head(start: bytes, hopeless: bool) -> None:
    assert is_hopeless(start) is hopeless


CHUNKED = b"5\r\nhello\r\n00c\r\n world\r\n0\r\n!\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", range(1, len(CHUNKED) + 6))
def test_chunks_end_where_they_say_in_whatever_pieces_they_come(size: int) -> None:
    body, sent, taken = Chunks(), CHUNKED + b"GET /", 0
    for start in range(0, len(sent), size):
        taken += body.take(sent[start : start + size])
    assert taken == len(CHUNKED)
    assert body.done


@pytest.mark.parametrize(
    "sent",
    [
        b"5;x=y\r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\nhelloX\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5 \r\nhello",
        b"0x5\r\nhello",
        b"-5\r\nhello",
        b"\r\n",
        b"g\r\n",
        b"fffffffff\r\n",
        b"0\r\nTrailer: x\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_malformed_chunks_are_refused(sent: bytes, size: int) -> None:
    def take() -> None:
        body = Chunks()
        for start in range(0, len(sent), size):
            body.take(sent[start : start + size])

    with pytest.raises(InvalidRequest):
        take()


def answers(answer: AnswerFrame, sent: bytes, size: int) -> bytes:
    return b"".join(answer.take(sent[start : start + size]) for start in range(0, len(sent), size))


@pytest.mark.parametrize(
    ("method", "sent", "closes"),
    [
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", False),
        (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nConnection: Close\r\n\r\nhello", True),
        (b"GET", b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", True),
        (b"GET", b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\nx", False),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", False),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", False),
        (b"DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", False),
        (b"GET", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + CHUNKED, False),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_is_followed_to_its_end(method: bytes, sent: bytes, closes: bool, size: int) -> None:
    answer = AnswerFrame(method)
    assert answers(answer, sent, size) == sent
    assert (answer.done, answer.closes) == (True, closes)
    with pytest.raises(ValueError, match="does not end"):
        answer.take(b"x")


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    answer = AnswerFrame(b"GET")
    sent = b"HTTP/1.1 200 OK\r\n\r\nhello"
    assert answers(answer, sent, 3) == sent
    assert not answer.done
    assert answer.closes
    assert answer.end()


def test_an_answer_may_break_off() -> None:
    for sent in (b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"):
        answer = AnswerFrame(b"GET")
        answer.take(sent)
        assert not answer.end()


@pytest.mark.parametrize(
    "sent", [b"HTTP/1.1 100 Continue\r\n\r\n", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000]
)
def test_no_answer_of_ours(sent: bytes) -> None:
    with pytest.raises((ValueError, ElasticImagesError)):
        AnswerFrame(b"GET").take(sent)
