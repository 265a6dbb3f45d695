"""Files in memory, by which processes pass images to each other without copying them."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from elastic_images.imaging.imaging import Body

_LINUX = sys.platform == "linux"


def memory_file(data: bytes) -> int:
    """The descriptor of a new file of these bytes, which nobody can change (on Linux)."""
    if not _LINUX:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            return os.dup(file.fileno())
    descriptor = os.memfd_create("image", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def shared(body: Body) -> Iterator[int]:
    """A descriptor of the body to pass to another process, which cannot change it by that (on Linux)."""
    if isinstance(body, bytes):
        descriptor = memory_file(body)
    elif _LINUX:
        descriptor = os.open(f"/proc/self/fd/{body}", os.O_RDONLY | os.O_CLOEXEC)
    else:
        descriptor = os.dup(body)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def contents(descriptor: int) -> bytes:
    """All bytes of a file that another process made. Raises OSError if it is no regular file, or shrank."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a file")
    found = os.pread(descriptor, status.st_size, 0)
    if len(found) != status.st_size:
        raise OSError("a file that shrank")
    return found
