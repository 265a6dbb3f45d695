"""Reads and discards the rest of a refused request's body, so that the client gets to see the answer.

Many clients send the whole body before they read the answer. If the server closes the connection first, they report a
broken pipe instead of 401 or 413, and the next request on a kept connection may fail.
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
    """WSGI middleware: after an answer it reads what is left of the request's body, up to `limit_bytes`.

    Bodies that announce more are cut off, and so are those that find no free place.
    """

    def __init__(self, app: WSGIApplication, places: Bulkhead, limit_bytes: int) -> None:
        self._app = app
        self._places = places
        self._limit_bytes = limit_bytes

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the wrapped app does."""
        stream = environ["wsgi.input"] = _NoticedInput(environ["wsgi.input"])
        answer = self._app(environ, start_response)
        # A client waiting for 100 Continue has sent nothing, and reading would invite it to.
        awaits_continue = environ.get("HTTP_EXPECT", "").lower() == "100-continue" and not stream.begun
        if awaits_continue or not self._worth_draining(environ):
            return answer
        return _DrainingAnswer(answer, stream, self._places, self._limit_bytes)

    def _worth_draining(self, environ: WSGIEnvironment) -> bool:
        if "HTTP_TRANSFER_ENCODING" in environ:
            return True
        length = environ.get("CONTENT_LENGTH") or "0"
        return length.isdigit() and len(length) < _MAX_DIGITS and 0 < int(length) <= self._limit_bytes


class _NoticedInput:
    """The body, as the app reads it; `begun` says whether it read any of it."""

    def __init__(self, stream: InputStream) -> None:
        self._stream = stream
        self.begun = False

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; if negative, everything that is left, which the server's stream does not support."""
        self.begun = True
        return self._stream.read() if size < 0 else self._stream.read(size)


class _DrainingAnswer:
    """The answer's chunks; after the last one it drains the body."""

    def __init__(self, answer: Iterable[bytes], stream: _NoticedInput, places: Bulkhead, limit_bytes: int) -> None:
        self._answer = answer
        self._stream = stream
        self._places = places
        self._limit_bytes = limit_bytes

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer
        if not self._places.try_acquire():
            return
        try:
            self._drain()
        finally:
            self._places.release()

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
