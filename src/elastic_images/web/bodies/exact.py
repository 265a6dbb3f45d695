"""A request's body as a stream whose length is known: no byte more is read, no byte less is let pass."""

from __future__ import annotations

from typing import IO

from flask import Request

from elastic_images.core.errors import IncompleteBody, InvalidRequest, LengthRequired, TooLarge


class ExactBody:
    """The `length_bytes` bytes that a client announced, readable once, by one thread."""

    def __init__(self, stream: IO[bytes], length_bytes: int) -> None:
        self._stream = stream
        self._left = length_bytes

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes (all that are left, where negative); b"" at the end.

        Raises:
            IncompleteBody: the client sent less than it had announced. Granian ends such a body quietly, and a
                broken connection may also come as an OSError.
        """
        if self._left == 0:
            return b""
        try:
            data = self._stream.read(self._left if size < 0 else min(size, self._left))
        except OSError:
            data = b""
        if not data:
            raise IncompleteBody(f"The body ended {self._left} bytes before its announced length.")
        self._left -= len(data)
        return data


def announced_length(request: Request, limit_bytes: int, what: str = "An image") -> int:
    """The request's Content-Length, in bytes.

    Raises:
        LengthRequired: there is none, or the body comes in chunks: its end could not be told from a broken connection.
        TooLarge: it is above `limit_bytes`. Nothing has been read.
        InvalidRequest: it is no number.
    """
    if "Transfer-Encoding" in request.headers:
        raise LengthRequired("An upload needs a Content-Length; a chunked body is not taken.")
    text = request.headers.get("Content-Length", "")
    if not text:
        raise LengthRequired("An upload needs a Content-Length.")
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequest("Content-Length is not a number of bytes.")
    # A number of more digits is too large whatever it is; int() refuses very long ones.
    length = int(text) if len(text) < 20 else limit_bytes + 1
    if length > limit_bytes:
        raise TooLarge(f"{what} has at most {limit_bytes} bytes.")
    return length


def exact_body(request: Request, length_bytes: int) -> ExactBody:
    """The body behind `request`, which announced `length_bytes`. Nothing else may read it."""
    return ExactBody(request.environ["wsgi.input"], length_bytes)
