"""The data folder: writable, and used by one system at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from elastic_images.core.errors import Conflict, InvalidRequest


class DataFolderLocked(Conflict):
    """Another system runs on the data folder."""

    slug, title = "data-folder-locked", "Data folder locked"


def make_writable(folder: Path) -> None:
    """Make the folder where it is missing (for its user alone) and see that files can be written in it.

    Raises:
        InvalidRequest: with what is in the way.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InvalidRequest(f"The data folder {folder} cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock while the block runs. Gives whether the last holder left in order.

    The lock goes with its process, however that ends. It is not inherited by processes that are started.

    Raises:
        DataFolderLocked: names the process that holds it.
    """
    file = folder / "lock"
    with file.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise DataFolderLocked(
                f"Another system runs on the data folder {folder}: process {holder}. Stop it, or choose another "
                "folder with --data (and other ports with --port-offset)."
            ) from None
        stream.seek(0)
        orderly = not stream.read().strip()
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        try:
            yield orderly
        finally:
            stream.truncate(0)
