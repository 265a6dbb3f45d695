"""The bytes of an image, on their way here, checked against their SHA-256."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from elastic_images.client.errors import NoAnswer

if TYPE_CHECKING:
    import urllib3

_CHUNK_BYTES = 1 << 20
_STRONG_ETAG = re.compile(r'"([0-9a-f]{64})"').fullmatch


class Download:
    """An answer whose body has not been read: iterate over it once. A context manager, for one thread."""

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self._answer = answer
        self._digest = hashlib.sha256()
        self.content_type = str(answer.headers.get("Content-Type", ""))
        self.etag = answer.headers.get("ETag")

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave what has not come."""
        self._answer.close()

    def __iter__(self) -> Iterator[bytes]:
        """The bytes in chunks.

        Raises:
            NoAnswer: the connection broke, or they are not those of the ETag. That is known at the end only.
        """
        from urllib3.exceptions import HTTPError

        try:
            for chunk in self._answer.stream(_CHUNK_BYTES):
                self._digest.update(chunk)
                yield chunk
        except HTTPError as error:
            raise NoAnswer("The download was interrupted.") from error
        promised = _STRONG_ETAG(self.etag or "")  # what a proxy recoded has a weak one
        if promised is not None and self._digest.hexdigest() != promised[1]:
            raise NoAnswer("The image was damaged on its way here.")

    @property
    def sha256(self) -> str:
        """Of the bytes that came so far."""
        return self._digest.hexdigest()

    def save(self, file: Path) -> str:
        """Make it a file, whole or not at all. Returns the SHA-256 of its bytes. Raises NoAnswer, OSError.

        It is written to `.NAME.(...).part` beside the file first. A file that exists is replaced.
        """
        part = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}.part")
        part.unlink(missing_ok=True)  # left by a program that was killed and had this number
        try:
            with part.open("xb") as target:
                target.writelines(self)
                target.flush()
                os.fsync(target.fileno())
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
        return self.sha256
