"""Reading a stream up to a delimiter, in pieces, however its bytes arrive."""

from __future__ import annotations

from collections.abc import Iterator

from elastic_images.core.errors import IncompleteBody, TooLarge
from elastic_images.web.bodies.exact import ExactBody

_READ_BYTES = 64 * 1024


class DelimitedInput:
    """A body, with a line break put before it: the first delimiter may stand at its very beginning.

    It never holds more than one read and a delimiter. For one thread.
    """

    def __init__(self, body: ExactBody) -> None:
        self._body = body
        self._buffer = bytearray(b"\r\n")

    def until(self, delimiter: bytes) -> Iterator[bytes]:
        """What stands before the delimiter, in pieces; the delimiter is consumed.

        Raises:
            IncompleteBody: there is none.
        """
        kept = len(delimiter) - 1  # may be the beginning of one
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
        """What stands before the delimiter, as a whole; with `also_at_end` the end of the body will do as well.

        Raises:
            IncompleteBody: there is none.
            TooLarge: it is longer than `limit_bytes`.
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
        """Make `data` the next that is read."""
        self._buffer[:0] = data

    def skip_rest(self) -> None:
        """Read to the end. Raises IncompleteBody where that comes too early."""
        while self._body.read(_READ_BYTES):
            pass
