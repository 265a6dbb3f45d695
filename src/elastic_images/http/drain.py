"""What is left of a refused request's body is read and thrown away, so that its sender gets to see the answer.

Many clients send their whole body before they look for an answer. Where the server closes the connection on them they
report a broken pipe instead of 401 or 413; and the next request of a kept connection may meet its end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from elastic_images.http.bulkhead import Bulkhead

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

_CHUNK_BYTES = 64 * 1024
_MAX_DIGITS = 20


class DrainBodies:
    """WSGI middleware: behind an answer it reads what is left of the request's body, up to `limit_bytes`.

    A body that says that it is longer is cut off, and so is one that finds no place.
    """

    def __init__(self, app: WSGIApplication, places: Bulkhead, limit_bytes: int) -> None:
        self._app = app
        self._places = places
        self._limit_bytes = limit_bytes

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the wrapped application does."""
        stream = environ["wsgi.input"] = _NoticedInput(environ["wsgi.input"])
        answer = self._app(environ, start_response)
        # Who waits for leave to send has sent nothing, and reading would give him leave.
        waits = environ.get("HTTP_EXPECT", "").lower() == "100-continue" and not stream.begun
        if waits or not self._worth_draining(environ):
            return answer
        return _DrainingAnswer(answer, stream, self._places, self._limit_bytes)

    def _worth_draining(self, environ: WSGIEnvironment) -> bool:
        if "HTTP_TRANSFER_ENCODING" in environ:
            return True
        length = environ.get("CONTENT_LENGTH") or "0"
        return length.isdigit() and len(length) < _MAX_DIGITS and 0 < int(length) <= self._limit_bytes


class _NoticedInput:
    """The body, as it is read by the application and then drained; `begun` says whether anything was asked for."""

    def __init__(self, stream: InputStream) -> None:
        self._stream = stream
        self.begun = False

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; all that is left where it is negative, which the server's own stream does not know."""
        self.begun = True
        return self._stream.read() if size < 0 else self._stream.read(size)


class _DrainingAnswer:
    """The answer's chunks, and behind them nothing but the reading of what is left."""

    def __init__(self, answer: Iterable[bytes], stream: _NoticedInput, places: Bulkhead, limit_bytes: int) -> None:
        self._answer = answer
        self._stream = stream
        self._places = places
        self._limit_bytes = limit_bytes

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer
        if not self._places.try_take():
            return
        try:
            self._drain()
        finally:
            self._places.give_back()

    def close(self) -> None:
        """Close the wrapped answer."""
        close = getattr(self._answer, "close", None)
        if close is not None:
            close()

    def _drain(self) -> None:
        left = self._limit_bytes
        with contextlib.suppress(OSError):  # the client is gone
            while left > 0 and (data := self._stream.read(min(_CHUNK_BYTES, left))):
                left -= len(data)
