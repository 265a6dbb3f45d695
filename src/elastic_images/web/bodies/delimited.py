"""Reads a stream up to a delimiter, in pieces of any size."""

from __future__ import annotations

from collections.abc import Iterator

from elastic_images.core.errors import IncompleteBody, TooLarge
from elastic_images.web.bodies.exact import ExactBody

_READ_BYTES = 64 * 1024


class DelimitedInput:
    """A body with a line break prepended, so that a delimiter may be at its very start.

    Buffers at most one read plus a delimiter. Not thread-safe.
    """

    def __init__(self, body: ExactBody) -> None:
        self._body = body
        self._buffer = bytearray(b"\r\n")

    def until(self, delimiter: bytes) -> Iterator[bytes]:
        """Everything up to the delimiter, in pieces; consumes the delimiter.

        Raises:
            IncompleteBody: the body ends first.
        """
        kept = len(delimiter) - 1  # may be the start of a delimiter
        while True:
            found = self._buffer.find(delimiter)
            if found >= 0:
                piece = bytes(self._buffer[:found])
                del self._buffer[: found + len(delimiter)]
                yield piece
                return
            if len(self._buffer) > kept:
                piece = bytes(self._buffer[:-kept])
                del self._buffer[:-kept]
                yield piece
            data = self._body.read(_READ_BYTES)
            if not data:
                raise IncompleteBody("The form ended before its closing boundary.")
            self._buffer += data

    def up_to(self, delimiter: bytes, limit_bytes: int, *, also_at_end: bool = False) -> bytes:
        """Everything up to the delimiter, at once; with `also_at_end`, the end of the body counts as one.

        Raises:
            IncompleteBody: the body ends first.
            TooLarge: the text is longer than `limit_bytes`.
        """
        text = bytearray()
        try:
            for piece in self.until(delimiter):
                text += piece
                if len(text) > limit_bytes:
                    raise TooLarge(f"A part of the form is longer than {limit_bytes} bytes.")
        except IncompleteBody:
            if not also_at_end:
                raise
            text += self._buffer
            self._buffer.clear()
        return bytes(text)

    def put_back(self, data: bytes) -> None:
        """Push `data` back, to be read next."""
        self._buffer[:0] = data

    def skip_rest(self) -> None:
        """Read to the end. Raises IncompleteBody if the body is cut off."""
        while self._body.read(_READ_BYTES):
            pass
