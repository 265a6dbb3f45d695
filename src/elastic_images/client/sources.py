"""What is uploaded: bytes, or a file, which can be sent again from its beginning."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from elastic_images.core.errors import Conflict

Source = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes]
"""Bytes, the path of a file, or a file open for reading bytes, from where it stands."""


class Sent:
    """A body that is hashed while it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._start = stream.tell()
        self.size_bytes = stream.seek(0, os.SEEK_END) - self._start
        self.rewind()

    def rewind(self) -> None:
        """Begin anew."""
        self._stream.seek(self._start)
        self._left = self.size_bytes
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as from a file; never more than there were. Raises Conflict if there are fewer."""
        chunk = self._stream.read(self._left if size < 0 else min(size, self._left))
        if self._left and not chunk:
            raise Conflict("The file became shorter while it was read; upload it again.")
        self._left -= len(chunk)
        self._digest.update(chunk)
        return chunk

    @property
    def sha256(self) -> str:
        """Of all bytes that were read since the beginning; the rest of them is read now."""
        while self.read(1 << 20):
            pass
        return self._digest.hexdigest()


@contextmanager
def opened(source: Source) -> Iterator[Sent]:
    """The bytes of a source. Raises OSError if it cannot be read."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield Sent(io.BytesIO(source))
    elif isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as stream:
            yield Sent(stream)
    elif source.seekable():
        yield Sent(source)
    else:
        yield Sent(io.BytesIO(source.read()))
