"""The data folder: makes it writable and locks it for one system."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from elastic_images.core.errors import Conflict, ElasticImagesError, InvalidRequest


class DataFolderLocked(Conflict):
    """Another system uses the data folder."""

    slug, title = "data-folder-locked", "Data folder locked"


def make_writable(folder: Path) -> None:
    """Create the folder if it is missing (for its user only) and check that files can be written to it.

    Raises:
        InvalidRequest: says why not.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InvalidRequest(f"Cannot write to the data folder {folder}: {error.strerror}.") from error


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock while the block runs. Yields whether the last holder exited cleanly.

    A start that fails after an unclean exit leaves it unclean: the next one has to check again what this one checked.
    The lock is released when the process ends, however it ends. Child processes do not inherit it.

    Raises:
        DataFolderLocked: names the process that holds the lock.
    """
    file = folder / "lock"
    with file.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise DataFolderLocked(
                f"The data folder {folder} is in use by process {holder}. Stop it, or choose another "
                "folder with --data (and other ports with --port-offset)."
            ) from None
        stream.seek(0)
        orderly = not stream.read().strip()
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        try:
            yield orderly
        except ElasticImagesError:
            if orderly:
                stream.truncate(0)
            raise
        except BaseException:
            stream.truncate(0)
            raise
        stream.truncate(0)
