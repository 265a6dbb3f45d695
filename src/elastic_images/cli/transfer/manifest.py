"""An export's manifest: a line of JSON for each image, with its key, its file and all its facts.

It is written last: a folder with a manifest has a whole export. While an export is written, and after one that was
interrupted, there is a file `....part` instead or beside it.
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
from types import TracebackType
from typing import Any

from elastic_images.core.errors import Conflict, ElasticImagesError, InvalidRequest
from elastic_images.core.keys import check_key
from elastic_images.core.restored_facts import RestoredFacts

MANIFEST = "elastic-images-manifest.jsonl"
UNFINISHED = MANIFEST + ".part"
FACTS = (
    "size_bytes", "sha256", "content_type", "format", "width", "height", "frames", "owner", "version", "created_at",
    "updated_at",
)  # fmt: skip
"""Everything that is known of an image but its key, and but where in this pool it is."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Listed:
    """One line."""

    key: str
    file: str
    """Inside the folder, with `/` between its parts; none of them is `..`."""
    facts: Mapping[str, Any]
    """By the names of `FACTS`."""
    kept: RestoredFacts

    @property
    def sha256(self) -> str:
        """The digest of the image's bytes."""
        return str(self.facts["sha256"])


class ManifestWriter:
    """Writes a folder's manifest, in the order of `add`; a context, for one thread. Left early, it is not finished."""

    def __init__(self, folder: Path) -> None:
        """Raises Conflict where another export writes into the folder, OSError where it cannot be written."""
        self._folder = folder
        self._part = folder / UNFINISHED
        self._stream = os.fdopen(os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+b")
        if not self._lock():
            self._stream.close()
            raise Conflict(f"Another export writes into {folder}.")
        self._stream.truncate()

    def __enter__(self) -> ManifestWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another export may have finished since the file was opened: then what is locked is its manifest.
            return os.path.samestat(os.fstat(self._stream.fileno()), self._part.stat())
        except (BlockingIOError, FileNotFoundError):
            return False

    def add(self, file: str, image: Mapping[str, Any]) -> None:
        """A line for an image whose bytes are in `file`."""
        line = {"key": image["key"], "file": file, **{name: image[name] for name in FACTS}}
        self._stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def finish(self) -> Path:
        """Make it the folder's manifest, whole; gives its path."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._part.replace(self._folder / MANIFEST)
        sync_folder(self._folder)
        return self._folder / MANIFEST


def has_manifest(folder: Path) -> bool:
    """Whether the folder has a whole export.

    Raises:
        Conflict: it has one that was not finished, so that its files may be of another time than its manifest.
    """
    if (folder / UNFINISHED).exists():
        raise Conflict(f"The export into {folder} was not finished: run it again, it goes on where it stopped.")
    return (folder / MANIFEST).is_file()


def check_manifest(folder: Path, clock: Callable[[], float] = time.time) -> int:
    """How many images the folder's manifest has, after all of it was read. Raises InvalidRequest as `read_manifest`."""
    keys: set[str] = set()
    for number, listed in enumerate(read_manifest(folder, clock), start=1):
        keys.add(listed.key)
        if len(keys) != number:
            raise _bad(number, f"{listed.key!r} is there twice.")
    return len(keys)


def read_manifest(folder: Path, clock: Callable[[], float] = time.time) -> Iterator[Listed]:
    """The lines of the folder's manifest.

    Raises:
        InvalidRequest: a line is no image's, or its file would be outside of the folder. It says which.
    """
    now = clock()
    with (folder / MANIFEST).open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield _listed(json.loads(line), now)
            except (ValueError, RecursionError, TypeError, AttributeError):
                raise _bad(number, "It is no image's line.") from None
            except KeyError as error:
                raise _bad(number, f"{error} is missing.") from None
            except ElasticImagesError as error:
                raise _bad(number, str(error)) from None


def sync_folder(folder: Path) -> None:
    """See to it that the names in a folder outlive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _listed(line: Mapping[str, Any], now: float) -> Listed:
    facts = {name: line[name] for name in FACTS}
    if not _SHA256.fullmatch(facts["sha256"]):
        raise InvalidRequest("sha256 is 64 hexadecimal digits.")
    file = str(line["file"])
    file.encode()  # a ValueError where it is no Unicode
    if file != str(PurePosixPath(file)) or file.startswith("/") or ".." in file.split("/") or "\0" in file:
        raise InvalidRequest(f"{file!r} is no path inside the folder.")
    return Listed(check_key(line["key"]), file, facts, RestoredFacts.of(facts, now))


def _bad(number: int, what: str) -> InvalidRequest:
    return InvalidRequest(f"{MANIFEST}, line {number}: {what}")
