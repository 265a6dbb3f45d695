"""Objects as files in a folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from elastic_images.core.errors import OutOfSpace, Unavailable
from elastic_images.storage.crash_points import CrashPoint, no_crash
from elastic_images.storage.objects.object_store import NAME, ObjectInfo, ObjectMissing, StoredObject, checked, new_name

_log = logging.getLogger(__name__)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PARTIALS = "partial"
_SHARDS = tuple(f"{number:02x}" for number in range(256))


class LocalObjectStore:
    """An `ObjectStore` in the folder `root`, made on the first write.

    An object lives at `root/<first two digits>/<name>`. It is written to `root/partial/<name>`, flushed to the disk,
    renamed, and the folder is flushed: in this order a crash leaves it complete or absent (rename(2), fsync(2)).
    """

    def __init__(
        self, root: Path, *, make_name: Callable[[], str] = new_name, crash_point: CrashPoint = no_crash
    ) -> None:
        self._root = root
        self._make_name = make_name
        self._crash_point = crash_point
        self._preparing = threading.Lock()
        self._prepared = False

    def put(self, chunks: Iterable[bytes], name: str | None = None) -> StoredObject:
        """See `ObjectStore`."""
        name = self._make_name() if name is None else checked(name)
        with self._errors("written"):
            partial, final = self._root / _PARTIALS / name, self._path(name)
            self._prepare()
            if final.exists():
                raise FileExistsError(errno.EEXIST, "the name is taken", name)
            made = partial
            try:
                stored = self._write(partial, name, chunks)
                self._crash_point("object-flushed")
                made = partial.rename(final)
                self._crash_point("object-renamed")
                _flush_folder(final.parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    made.unlink()
                raise
            return stored

    def open(self, name: str) -> _OpenFile:
        """See `ObjectStore`."""
        with self._errors("read"):
            try:
                # Unbuffered, and by a plain str: opening by Path costs twice as much.
                return _OpenFile(io.FileIO(f"{self._root}/{name[:2]}/{checked(name)}"))
            except (FileNotFoundError, IsADirectoryError):
                raise ObjectMissing(name) from None

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        with self._errors("written"):
            self._path(name).unlink(missing_ok=True)

    def delete_many(self, names: Sequence[str]) -> None:
        """See `ObjectStore`."""
        for name in names:
            self.delete(name)

    def stat(self, name: str) -> ObjectInfo | None:
        """See `ObjectStore`."""
        with self._errors("read"):
            try:
                status = self._path(name).stat()
            except FileNotFoundError:
                return None
            return ObjectInfo(name, status.st_size, status.st_mtime)

    def list(self, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """See `ObjectStore`. The first digits of a name are its folder, so folder order is name order."""
        found: list[ObjectInfo] = []
        with self._errors("read"):
            for shard in _SHARDS:
                if shard >= after[:2]:
                    names = sorted(entry for entry in _names(self._root / shard) if entry.name > after)
                    found.extend(info for entry in names[: limit - len(found)] if (info := _info(entry)))
                if len(found) >= limit:
                    break
        return found

    def partials(self) -> Iterator[ObjectInfo]:
        """See `ObjectStore`."""
        with self._errors("read"):
            found = [info for path in sorted(_names(self._root / _PARTIALS)) if (info := _info(path))]
        yield from found

    def delete_partial(self, name: str) -> None:
        """See `ObjectStore`."""
        with self._errors("written"):
            (self._root / _PARTIALS / checked(name)).unlink(missing_ok=True)

    def check(self) -> None:
        """See `ObjectStore`."""
        with self._errors("written"):
            self._prepare()
            if not os.access(self._root / _PARTIALS, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self._root))

    def _write(self, path: Path, name: str, chunks: Iterable[bytes]) -> StoredObject:
        digest, size = hashlib.sha256(), 0
        with path.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            self._crash_point("object-written")
            file.flush()
            os.fsync(file.fileno())
        return StoredObject(name, size, digest.hexdigest())

    def _path(self, name: str) -> Path:
        return self._root / name[:2] / checked(name)

    def _prepare(self) -> None:
        """Make all folders on the first write, so that later ones need not flush new folders."""
        with self._preparing:
            if self._prepared and (self._root / _PARTIALS).is_dir():
                return
            _make_folder(self._root)
            for folder in (_PARTIALS, *_SHARDS):
                (self._root / folder).mkdir(exist_ok=True)
            _flush_folder(self._root)
            self._prepared = True

    @contextlib.contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise OutOfSpace("The object store is full.") from error
            _log.warning("object store %s cannot be %s: %s", self._root, done, error)
            raise Unavailable(f"The object store cannot be {done}: {error.strerror or error}.") from error


class _OpenFile:
    """See `OpenObject`. A file deleted meanwhile can still be read to its end."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.size_bytes = os.fstat(file.fileno()).st_size

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size) or b""

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _names(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        yield from (folder / entry.name for entry in entries if NAME.fullmatch(entry.name))


def _info(path: Path) -> ObjectInfo | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return ObjectInfo(path.name, status.st_size, status.st_mtime)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
