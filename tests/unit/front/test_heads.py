"""Which requests the front answers; anything unusual goes to the backend."""

from __future__ import annotations

import pytest

from elastic_images.front.heads import PLAIN, Heads
from elastic_images.front.reads import Environ, RequestKind, WholeImage, WholeRead
from elastic_images.http.answer import Answer
from elastic_images.http.serving import is_conditional

FIELDS = b"Host: images.example\r\nAccept: */*\r\n"


class Reads:
    """Classifies by the Host, and counts the calls."""

    prefixes = (b"/images/", b"/peer/")
    judges_each = True

    def __init__(self) -> None:
        self.judged: list[Environ] = []

    def classify(self, environ: Environ) -> RequestKind:
        self.judged.append(environ)
        if environ["HTTP_HOST"] == "foreign.example":
            return RequestKind.BACKEND
        return RequestKind.CONDITIONAL if is_conditional(environ) else RequestKind.WHOLE

    def name_of(self, environ: Environ) -> str | None:
        return f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"

    def front_hit(self, name: str, environ: Environ, now: float) -> WholeImage | None:
        raise NotImplementedError

    def front_answer(self, name: str, environ: Environ, now: float) -> Answer | None:
        raise NotImplementedError

    def upstream_request(self, read: WholeRead) -> None:
        raise NotImplementedError

    def respond(self, environ: Environ) -> Answer:
        raise NotImplementedError


def read(line: bytes, fields: bytes = FIELDS) -> object:
    return Heads(Reads()).read(line + b"\r\n" + fields + b"\r\n", "10.0.0.1")


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (b"/images/cat.jpg", "/images/cat.jpg?"),
        (b"/images/a/b%20c", "/images/a/b c?"),
        (b"/images/caf%C3%A9", "/images/caf\xc3\xa9?"),
        (b"/images/50%", "/images/50%?"),
        (b"/images/%zz", "/images/%zz?"),
        (b"/images/a%2Fb", "/images/a/b?"),
        (b"/images/a%00b?w=100", "/images/a\0b?w=100"),
        (b"/peer/a", "/peer/a?"),
    ],
)
def test_the_data_plane_names_what_is_asked_for_by_path_and_query(target: bytes, name: str) -> None:
    request = Heads(Reads()).read(b"GET %b HTTP/1.1\r\n%b\r\n" % (target, FIELDS), "10.0.0.1")
    assert request is not None
    assert request.name == name
    assert request.environ["REMOTE_ADDR"] == "10.0.0.1"
    assert request.fields.whole
    assert not request.is_head


def test_a_question_mark_alone_is_not_a_query() -> None:
    request = Heads(Reads()).read(b"GET /images/a? HTTP/1.1\r\n%b\r\n" % FIELDS, "")
    assert request is not None
    assert (request.name, request.environ["QUERY_STRING"]) == ("/images/a?", "")


@pytest.mark.parametrize(
    "line",
    [
        b"POST /images/a HTTP/1.1",
        b"get /images/a HTTP/1.1",
        b"GET /images/a HTTP/1.2",
        b"GET /images/a HTTP/1.1 ",
        b"GET  /images/a HTTP/1.1",
        b"GET /images/a b HTTP/1.1",
        b"GET /images/a\tb HTTP/1.1",
        b"GET /images/caf\xc3\xa9 HTTP/1.1",
        b"GET /images/a#b HTTP/1.1",
        b"GET /images/a",
        b"GET http://images.example/images/a HTTP/1.1",
        b"GET /Images/a HTTP/1.1",
        b"GET /images HTTP/1.1",
        b"GET /api/images HTTP/1.1",
        b" GET /images/a HTTP/1.1",
        b"\r\nGET /images/a HTTP/1.1",
        b"",
    ],
)
def test_any_other_request_line_is_for_the_backend(line: bytes) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Accept: */*\r\n",
        b"Host:\r\n",
        b"Host: a\r\nHost: a\r\n",
        b"Host : a\r\n",
        b" Host: a\r\n",
        b"Host: a\r\n b\r\n",
        b"Host: a\r\nX\r\n",
        b"Host: a\r\n: x\r\n",
        b"Host: a\r\nX Y: x\r\n",
        b"Host: a\r\nX\xe9: x\r\n",
        b"Host: a\r\nX: \x00\r\n",
        b"Host: a\nX: b\r\n",
        b"Host: a\r\nX: b\rc\r\n",
        b"Host: a\r\nContent-Length: 1\r\n",
        b"Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
        b"Host: a\r\nTransfer-Encoding: chunked\r\n",
        b"Host: foreign.example\r\n",
    ],
)
def test_unusual_fields_and_those_that_the_data_plane_refuses_are_for_the_backend(fields: bytes) -> None:
    assert read(b"GET /images/a HTTP/1.1", fields) is None


@pytest.mark.parametrize(
    "field",
    [b"Content-Length: 0", b"Expect: 100-continue", b"Upgrade: h2c", b"TE: trailers", b"Connection: te", b"X_Whole: 1"],
)
def test_what_a_read_without_a_body_would_not_get_does_not_matter(field: bytes) -> None:
    request = Heads(Reads()).read(b"GET /images/a HTTP/1.1\r\n%b%b\r\n\r\n" % (FIELDS, field), "")
    assert request is not None
    assert request.fields.whole
    assert "HTTP_X_WHOLE" not in request.environ


def test_repeated_fields_are_a_list() -> None:
    fields = b"If-Match: a\r\nCookie: a=b\r\nIf-Match: b\r\nCookie: c=d\r\n"
    request = Heads(Reads()).read(b"GET /images/a HTTP/1.1\r\n%b%b\r\n" % (FIELDS, fields), "")
    assert request is not None
    assert (request.environ["HTTP_IF_MATCH"], request.environ["HTTP_COOKIE"]) == ("a,b", "a=b; c=d")


@pytest.mark.parametrize(("value", "close"), [(None, True), (b"close", True), (b"Keep-Alive", False)])
def test_http_1_0_closes_unless_asked_to_keep(value: bytes | None, close: bool) -> None:
    field = b"" if value is None else b"Connection: %b\r\n" % value
    request = Heads(Reads()).read(b"GET /images/a HTTP/1.0\r\n%b%b\r\n" % (FIELDS, field), "")
    assert request is not None
    assert (request.is_old, request.close) == (True, close)


def test_fields_are_classified_once_per_client() -> None:
    reads = Reads()
    heads = Heads(reads)
    head = b"GET /images/%d HTTP/1.1\r\n" + FIELDS + b"\r\n"
    for number in range(5):
        request = heads.read(head % number, "10.0.0.1")
        assert request is not None
        assert request.environ["PATH_INFO"] == f"/images/{number}"
    assert len(reads.judged) == 1
    assert heads.read(head % 1, "10.0.0.2") is not None
    assert [environ["REMOTE_ADDR"] for environ in reads.judged] == ["10.0.0.1", "10.0.0.2"]


def test_a_request_with_a_query_is_read_once_and_remembered_with_its_fields() -> None:
    heads = Heads(Reads())
    head = b"GET /images/a?w=400 HTTP/1.1\r\n" + FIELDS + b"\r\n"
    first = heads.read(head, "10.0.0.1")
    assert first is not None
    assert heads.read(head, "10.0.0.1") is first
    other = heads.read(head, "10.0.0.2")
    assert other is not None
    assert other.environ["REMOTE_ADDR"] == "10.0.0.2"
    varying = heads.read(head.replace(b"*/*", b"image/webp"), "10.0.0.1")
    assert varying is not None
    assert varying.environ["HTTP_ACCEPT"] == "image/webp"
    for number in range(5000):
        assert heads.read(head.replace(b"400", b"%d" % number), "10.0.0.1") is not None
    assert len(heads._requests) <= 1024
    assert heads.read(head.replace(b"400", b"4" * 2000), "10.0.0.1") is not None
    assert all(len(kept) <= 2048 for _, kept in heads._requests)


CREDENTIALS = [
    b"Authorization: Bearer ei_1\r\n",
    b"cookie:\t a=b; c=d \r\n",
    b"AUTHORIZATION:Basic x\r\nCookie: a=b\r\n",
    b"Cookie: a\r\nCookie: b\r\n",
    b"Authorization: \r\n",
    b"Authorization: a\x00b\r\n",
    b"Cookie: a\nb\r\n",
    b"Cookie : a\r\n",
    b"X-Cookie: Authorization: b\r\n",
]


@pytest.mark.parametrize("credentials", CREDENTIALS)
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0)])
def test_credentials_that_are_read_apart_give_the_same_request(credentials: bytes, order: tuple[int, ...]) -> None:
    parts = (b"Host: a\r\n", credentials, b"Accept: */*\r\n")
    head = b"GET /images/a HTTP/1.1\r\n" + b"".join(parts[place] for place in order) + b"\r\n"
    reads = Reads()
    reads.judges_each = False
    together, apart = Heads(reads).read(head, "1.2.3.4"), Heads(Reads()).read(head, "1.2.3.4")
    assert apart == together
    assert Heads(Reads()).of_one(head.partition(b"\r\n")[2], "1.2.3.4") == (together and together.fields)


def test_people_with_the_same_program_are_classified_once() -> None:
    reads = Reads()
    heads = Heads(reads)
    head = b"GET /images/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %d\r\nCookie: c=%d\r\n\r\n"
    for number in range(900):
        request = heads.read(head % (number, number), "")
        assert request is not None
        assert request.environ["HTTP_AUTHORIZATION"] == f"Bearer {number}"
        assert request.environ["HTTP_COOKIE"] == f"c={number}"
    assert len(reads.judged) == 1
    assert "HTTP_AUTHORIZATION" not in reads.judged[0]


def test_only_a_block_that_is_whole_and_alone_is_one() -> None:
    heads = Heads(Reads())
    block = b"Host: a\r\nCookie: a=b\r\n\r\n"
    assert heads.of_one(block, "") is not None
    for other in (block[:-1], block[:-2], block + b"G", block + block, b"", b"\r\n", b"a\r\n", block + b"x" * 4000):
        assert heads.of_one(other, "") is None


def test_remembered_fields_are_bounded() -> None:
    heads = Heads(Reads())
    for number in range(5000):
        assert heads.read(b"GET /images/a HTTP/1.1\r\nHost: %d.example\r\n\r\n" % number, "") is not None
    assert len(heads.known) <= 1024
    before = len(heads.known)
    assert heads.read(b"GET /images/a HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 9000), "") is not None
    assert len(heads.known) == before, "long ones are not kept"


@pytest.mark.parametrize("field", [b"If-None-Match: *", b"Range: bytes=0-1", b"if-modified-since: x", b"If-Range: x"])
def test_conditions_are_recognized(field: bytes) -> None:
    request = Heads(Reads()).read(b"HEAD /images/a HTTP/1.1\r\n%b%b\r\n\r\n" % (FIELDS, field), "")
    assert request is not None
    assert request.is_head
    assert not request.fields.whole
    assert is_conditional(request.environ)


@pytest.mark.parametrize(("value", "close"), [(b"close", True), (b"Close ", True), (b"keep-alive", False)])
def test_connection_close_is_obeyed(value: bytes, close: bool) -> None:
    request = Heads(Reads()).read(b"GET /images/a HTTP/1.1\r\n%bConnection: %b\r\n\r\n" % (FIELDS, value), "")
    assert request is not None
    assert request.fields.close is close
    assert request.fields.whole is not close


@pytest.mark.parametrize("odd", [b"%", b"?", b"#", b" ", b'"', b"\x7f", b"\xc3", b"\\", b"<", b"\r"])
def test_the_fast_path_takes_only_keys_without_percent_encoding(odd: bytes) -> None:
    line = b"GET /images/a%bb HTTP/1.1\r\n"
    assert PLAIN(line % b"-") is not None
    assert PLAIN(line % odd) is None
