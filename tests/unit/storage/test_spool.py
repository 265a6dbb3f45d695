"""Receiving uploads: small and large, whole and not, and on a disk that is full."""

from __future__ import annotations

import errno
import hashlib
import io
import tempfile
from pathlib import Path
from typing import IO, Any

import pytest

from elastic_images.core.errors import IncompleteBody, OutOfSpace
from elastic_images.storage.objects.object_store import CHUNK_BYTES
from elastic_images.storage.spool import Spool


class FullDisk(io.FileIO):
    """A file for which there is no room."""

    def write(self, _data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("size_bytes", [CHUNK_BYTES + 1, 3_000_000])
def test_no_room_is_said_as_such_whether_or_not_a_buffer_holds_the_rest(
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


class Trickle(io.BytesIO):
    """Gives little at a time, as a network may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 1000))


SIZES = [1, 999, 1000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES]


@pytest.mark.parametrize("size_bytes", SIZES)
@pytest.mark.parametrize("source", [io.BytesIO, Trickle])
def test_a_body_comes_whole_whatever_its_size(tmp_path: Path, source: type[io.BytesIO], size_bytes: int) -> None:
    body = bytes(number % 251 for number in range(size_bytes))
    sha256 = hashlib.sha256(body).hexdigest()
    behind = b"the next request"
    stream = source(body + sha256.encode() + behind)
    with Spool(tmp_path).receive(stream, size_bytes) as received:
        assert (received.data[:], received.sha256, received.size_bytes) == (body, sha256, size_bytes)
        assert b"".join(received.chunks()) == body
        assert max(map(len, received.chunks())) <= CHUNK_BYTES
    assert stream.getvalue()[stream.tell() :] == behind
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size_bytes", SIZES)
@pytest.mark.parametrize("missing", [1, 63, 64, 65])
def test_a_body_that_is_cut_off_is_incomplete(tmp_path: Path, size_bytes: int, missing: int) -> None:
    body = b"x" * size_bytes
    sent = (body + hashlib.sha256(body).hexdigest().encode())[:-missing]
    with pytest.raises(IncompleteBody), Spool(tmp_path).receive(io.BytesIO(sent), size_bytes):
        pass


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_body_of_other_bytes_is_incomplete(tmp_path: Path, size_bytes: int) -> None:
    sent = b"x" * size_bytes + hashlib.sha256(b"y" * size_bytes).hexdigest().encode()
    with pytest.raises(IncompleteBody), Spool(tmp_path).receive(io.BytesIO(sent), size_bytes):
        pass
