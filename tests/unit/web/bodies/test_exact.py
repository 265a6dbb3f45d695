from __future__ import annotations

import io

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from elastic_images.core.errors import ElasticImagesError, IncompleteBody, InvalidRequest, LengthRequired, TooLarge
from elastic_images.web.bodies.exact import ExactBody, announced_length


def request(**environ: str) -> Request:
    return Request(EnvironBuilder().get_environ() | environ)


class Broken(io.BytesIO):
    def read(self, _size: int | None = -1, /) -> bytes:
        raise ConnectionResetError


def test_not_a_byte_more_is_read() -> None:
    stream = io.BytesIO(b"0123456789")
    body = ExactBody(stream, 7)
    assert [body.read(4), body.read(4), body.read(4), body.read()] == [b"0123", b"456", b"", b""]
    assert stream.read() == b"789"
    assert ExactBody(io.BytesIO(b"0123456789"), 7).read() == b"0123456"
    assert ExactBody(io.BytesIO(b""), 0).read() == b""


@pytest.mark.parametrize("stream", [io.BytesIO(b"0123"), io.BytesIO(b""), Broken()])
def test_not_a_byte_less_is_let_pass(stream: io.BytesIO) -> None:
    body = ExactBody(stream, 5)
    with pytest.raises(IncompleteBody):
        list(iter(lambda: body.read(2), b""))


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({}, LengthRequired),
        ({"CONTENT_LENGTH": ""}, LengthRequired),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, LengthRequired),
        ({"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "5"}, LengthRequired),
        ({"CONTENT_LENGTH": "11"}, TooLarge),
        ({"CONTENT_LENGTH": "9" * 5000}, TooLarge),
        *(({"CONTENT_LENGTH": text}, InvalidRequest) for text in ("-1", "+5", "5.0", "1e1", "nan", " 5", "5,5", "٥")),
    ],
)
def test_lengths_that_are_refused(environ: dict[str, str], error: type[ElasticImagesError]) -> None:
    with pytest.raises(error):
        announced_length(request(**environ), 10)


@pytest.mark.parametrize(("text", "length"), [("0", 0), ("10", 10), ("007", 7)])
def test_lengths(text: str, length: int) -> None:
    assert announced_length(request(CONTENT_LENGTH=text), 10) == length
