"""Unix sockets in the data folder, for this user only."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from elastic_images.process.listening import BACKLOG

_MAX_PATH_BYTES = 100
"""What every system takes as the path of a Unix socket."""


def listen(path: Path) -> socket.socket:
    """A socket that listens at `path`, in the place of one that a crash left. Its folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with address_of(path) as address:
        before = os.umask(0o177)
        try:
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(before)
    listener.listen(BACKLOG)
    return listener


@contextlib.contextmanager
def address_of(path: Path) -> Iterator[str]:
    """How to name a socket's path: one that is too long for a socket goes through a descriptor of its folder."""
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
