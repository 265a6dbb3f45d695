"""An S3 object open for reading; if the connection breaks, reading continues over a new one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self

Repeat = Callable[[Callable[[], bytes]], bytes]


class Body(Protocol):
    """A response body."""

    def read(self, amt: int | None = None) -> bytes:
        """Up to `amt` bytes; all by default."""

    def close(self) -> None:
        """Release the connection."""


class S3Object:
    """See `OpenObject`.

    Args:
        size_bytes: of the whole object.
        body: its bytes from the start.
        fetch: requests the bytes from a position on.
        repeat: runs a read, with retries.
        errors: a context manager that translates S3Error.
    """

    def __init__(
        self,
        size_bytes: int,
        body: Body,
        fetch: Callable[[int], Body],
        repeat: Repeat,
        errors: Callable[[], contextlib.AbstractContextManager[Any]],
    ) -> None:
        self.size_bytes = size_bytes
        self._body: Body | None = body
        self._fetch = fetch
        self._repeat = repeat
        self._errors = errors
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        """See `OpenObject`. An object deleted meanwhile can be read while the connection lasts."""
        if size == 0 or self._position == self.size_bytes:
            return b""
        with self._errors():
            return self._repeat(lambda: self._read(size))

    def _read(self, size: int) -> bytes:
        if self._body is None:
            self._body = self._fetch(self._position)
        with self._letting_go():
            found = self._body.read(size if size > 0 else None)
        self._position += len(found)
        return found

    @contextlib.contextmanager
    def _letting_go(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See `OpenObject`."""
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
