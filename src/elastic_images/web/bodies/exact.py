"""A request body of known length: never reads more, and never accepts less."""

from __future__ import annotations

from typing import IO

from flask import Request

from elastic_images.core.errors import IncompleteBody, InvalidRequest, LengthRequired, TooLarge


class ExactBody:
    """The `length_bytes` bytes that a client announced. Readable once; not thread-safe."""

    def __init__(self, stream: IO[bytes], length_bytes: int) -> None:
        self._stream = stream
        self._left = length_bytes

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes (all remaining if negative); b"" at the end.

        Raises:
            IncompleteBody: the client sent less than announced. Granian ends such a body silently, or raises
                OSError for a broken connection.
        """
        if self._left == 0:
            return b""
        try:
            data = self._stream.read(self._left if size < 0 else min(size, self._left))
        except OSError:
            data = b""
        if not data:
            raise IncompleteBody(f"The body ended {self._left} bytes short of its Content-Length.")
        self._left -= len(data)
        return data


def announced_length(request: Request, limit_bytes: int, what: str = "An image") -> int:
    """The request's Content-Length, in bytes.

    Raises:
        LengthRequired: it is missing, or the body is chunked: a broken connection would look like its end.
        TooLarge: it exceeds `limit_bytes`. Nothing has been read.
        InvalidRequest: it is not a number.
    """
    if "Transfer-Encoding" in request.headers:
        raise LengthRequired("An upload needs a Content-Length; chunked bodies are not accepted.")
    text = request.headers.get("Content-Length", "")
    if not text:
        raise LengthRequired("An upload needs a Content-Length.")
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequest("Content-Length is not a number of bytes.")
    # More digits are too large anyway, and int() refuses very long ones.
    length = int(text) if len(text) < 20 else limit_bytes + 1
    if length > limit_bytes:
        raise TooLarge(f"{what} may have at most {limit_bytes} bytes.")
    return length


def exact_body(request: Request, length_bytes: int) -> ExactBody:
    """The body of `request`, which announced `length_bytes`. Nothing else may read it."""
    return ExactBody(request.environ["wsgi.input"], length_bytes)
