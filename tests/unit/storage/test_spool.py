"""Receiving uploads on a disk that is full."""

from __future__ import annotations

import errno
import hashlib
import io
import tempfile
from pathlib import Path
from typing import IO, Any

import pytest

from elastic_images.core.errors import OutOfSpace
from elastic_images.storage.spool import Spool


class FullDisk(io.FileIO):
    """A file for which there is no room."""

    def write(self, _data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("size_bytes", [100, 3_000_000])
def test_no_room_is_said_as_such_for_small_uploads_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_bytes: int
) -> None:
    made: list[IO[bytes]] = []

    def full(dir: Path) -> IO[bytes]:  # noqa: A002 - tempfile's name for it
        made.append(io.BufferedRandom(FullDisk(dir / "body", "w+b")))
        return made[0]

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    body = b"x" * size_bytes
    sent = io.BytesIO(body + hashlib.sha256(body).hexdigest().encode())
    with pytest.raises(OutOfSpace), Spool(tmp_path).receive(sent, size_bytes):
        pass
    assert made[0].closed
