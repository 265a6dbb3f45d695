"""Free space on the disks that storage writes: uploads are refused before one is full."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from elastic_images.core.errors import OutOfSpace
from elastic_images.database.sqlite_file import file_of
from elastic_images.settings import Settings

_FRESH_SECONDS = 1.0
_SMALL_DISK_PARTS = 100
_SHOWN_WHOLE_BYTES = 100e6
_COPIES = 2
"""An upload may be in the spool and in the object store at the same time."""


class FileSystem(Protocol):
    """What `os.statvfs` returns."""

    @property
    def f_bavail(self) -> int:
        """Free blocks for this user."""

    @property
    def f_blocks(self) -> int:
        """All blocks."""

    @property
    def f_frsize(self) -> int:
        """A block's length in bytes."""


class Room:
    """Keeps a reserve free on each disk, so that the database can always commit. Safe to share between threads.

    The disks are looked at once a second; what uploads may have written since then counts as used.
    """

    def __init__(
        self,
        folders: Sequence[Path] = (),
        reserve_bytes: int = 0,
        *,
        statvfs: Callable[[Path], FileSystem] = os.statvfs,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folders` may be missing. The reserve is at most 1 % of a disk."""
        self._folders = folders
        self._reserve_bytes = reserve_bytes
        self._statvfs = statvfs
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._left = self._free = self._reserve = 0
        self._under_way = self._used = 0

    @property
    def free_bytes(self) -> int:
        """Free space on the disk with the least room, when it was last looked at."""
        return self._free

    def look(self) -> None:
        """Look at the disks now. May hang with them."""
        found = [self._look_at(folder) for folder in self._folders]
        with self._lock:
            if found:
                self._left, self._free, self._reserve = min(found)
            self._looked_at, self._used = self._clock(), self._under_way

    def check(self, wanted_bytes: int = 0) -> None:
        """Raises OutOfSpace if a disk would have less than its reserve, by the last look."""
        if self._folders and self._left - self._used < wanted_bytes:
            raise OutOfSpace(
                f"There is too little disk space for uploads: {shown_megabytes(self._free)} are free, of which "
                f"{shown_megabytes(self._reserve)} are kept in reserve."
            )

    @contextmanager
    def claim(self, upload_bytes: int) -> Iterator[None]:
        """Room for an upload while the block runs. Raises OutOfSpace; then nothing should be written."""
        wanted = _COPIES * upload_bytes
        if self._clock() >= self._looked_at + _FRESH_SECONDS or self._left - self._used < wanted:
            self.look()
        with self._lock:
            self.check(wanted)
            self._used += wanted
            self._under_way += wanted
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= wanted

    def _look_at(self, folder: Path) -> tuple[int, int, int]:
        """Free space without the reserve, free space, and the reserve."""
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        found = self._statvfs(folder)
        free = found.f_bavail * found.f_frsize
        reserve = min(self._reserve_bytes, found.f_blocks * found.f_frsize // _SMALL_DISK_PARTS)
        return free - reserve, free, reserve


def shown_megabytes(size_bytes: int) -> str:
    """A size in MB."""
    return f"{size_bytes / 1e6:,.{0 if size_bytes > _SHOWN_WHOLE_BYTES else 1}f} MB"


def written_folders(settings: Settings) -> list[Path]:
    """The folders that storage writes: the spool's, and those of a folder store and of SQLite."""
    folders, store = [settings.data], urlsplit(settings.object_store)
    if store.scheme == "file":
        folders.append(Path(unquote(store.path)))
    if database := file_of(settings.database):
        folders.append(database.parent)
    return folders
