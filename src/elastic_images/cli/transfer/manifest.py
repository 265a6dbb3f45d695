"""An export's manifest: one line of JSON per image, with its key, its file and its metadata.

It is written last, so a folder with a manifest holds a complete export. During an export, and after an interrupted
one, there is a `.part` file instead of it or beside it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from elastic_images.core.errors import Conflict, ElasticImagesError, InvalidRequest
from elastic_images.core.keys import check_key
from elastic_images.core.restored_facts import RestoredFacts

MANIFEST = "elastic-images-manifest.jsonl"
UNFINISHED = MANIFEST + ".part"
FACTS = (
    "size_bytes", "sha256", "content_type", "format", "width", "height", "frames", "owner", "version", "created_at",
    "updated_at", "visibility",
)  # fmt: skip
"""An image's metadata, without its key, its place in this pool, and the details that its bytes tell again.

Systems and manifests from before there was visibility have none.
"""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One line of a manifest."""

    key: str
    file: str
    """Relative to the folder, with `/` between its parts; none of them is `..`."""
    facts: Mapping[str, Any]
    """By the names of `FACTS`."""
    kept: RestoredFacts

    @property
    def sha256(self) -> str:
        """The SHA-256 of the image, in hex."""
        return str(self.facts["sha256"])


class ManifestWriter:
    """Writes a folder's manifest. A context manager for one thread; leaving it without `finish` keeps the old one."""

    def __init__(self, folder: Path) -> None:
        """Raises Conflict if another export writes to the folder, OSError if it is not writable."""
        self._folder = folder
        self._part = folder / UNFINISHED
        self._stream = os.fdopen(os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+b")
        if not self._lock():
            self._stream.close()
            raise Conflict(f"Another export is writing to {folder}.")
        self._stream.truncate()

    def __enter__(self) -> ManifestWriter:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stream.close()

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another export may have finished since the file was opened; then this lock is on its manifest.
            return os.path.samestat(os.fstat(self._stream.fileno()), self._part.stat())
        except (BlockingIOError, FileNotFoundError):
            return False

    def add(self, file: str, image: Mapping[str, Any]) -> None:
        """Add a line for an image stored in `file`."""
        line = {"key": image["key"], "file": file, **{name: image[name] for name in FACTS if name in image}}
        self._stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def finish(self) -> Path:
        """Replace the folder's manifest atomically. Returns its path."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._part.replace(self._folder / MANIFEST)
        sync_folder(self._folder)
        return self._folder / MANIFEST


def has_manifest(folder: Path) -> bool:
    """Whether the folder has a complete export.

    Raises:
        Conflict: the last export was not finished, so the files may be newer than the manifest.
    """
    if (folder / UNFINISHED).exists():
        raise Conflict(f"The export to {folder} was not finished: run it again to resume it.")
    return (folder / MANIFEST).is_file()


def check_manifest(folder: Path, clock: Callable[[], float] = time.time) -> int:
    """Read the whole manifest and return its number of images. Raises InvalidRequest as `read_manifest` does."""
    keys: set[str] = set()
    for number, entry in enumerate(read_manifest(folder, clock), start=1):
        keys.add(entry.key)
        if len(keys) != number:
            raise _bad(number, f"duplicate key {entry.key!r}.")
    return len(keys)


def read_manifest(folder: Path, clock: Callable[[], float] = time.time) -> Iterator[ManifestEntry]:
    """The lines of the folder's manifest.

    Raises:
        InvalidRequest: a line is invalid, or its file is outside the folder. The message names the line.
    """
    now = clock()
    with (folder / MANIFEST).open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield _entry(json.loads(line), now)
            except (ValueError, RecursionError, TypeError, AttributeError):
                raise _bad(number, "not a valid entry.") from None
            except KeyError as error:
                raise _bad(number, f"{error} is missing.") from None
            except ElasticImagesError as error:
                raise _bad(number, str(error)) from None


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that its names survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entry(line: Mapping[str, Any], now: float) -> ManifestEntry:
    facts = {name: line[name] for name in FACTS if name in line or name != "visibility"}
    if not _SHA256.fullmatch(facts["sha256"]):
        raise InvalidRequest("sha256 must be 64 hexadecimal digits.")
    file = str(line["file"])
    file.encode()  # raises ValueError if it is not valid Unicode
    if file != str(PurePosixPath(file)) or file.startswith("/") or ".." in file.split("/") or "\0" in file:
        raise InvalidRequest(f"{file!r} is not a path inside the folder.")
    return ManifestEntry(check_key(line["key"]), file, facts, RestoredFacts.of(facts, now))


def _bad(number: int, what: str) -> InvalidRequest:
    return InvalidRequest(f"{MANIFEST}, line {number}: {what}")
