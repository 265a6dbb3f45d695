"""Objects as files in a folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from elastic_images.core.errors import OutOfSpace, StoreAway, Unavailable
from elastic_images.storage.crash_points import CrashPoint, no_crash
from elastic_images.storage.objects.object_store import (
    NAME,
    QUARANTINE,
    STORE_ID,
    ObjectInfo,
    ObjectMissing,
    StoredObject,
    StoreSeen,
    checked,
    new_name,
)

_log = logging.getLogger(__name__)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PARTIALS = "partial"
_SHARDS = tuple(f"{number:02x}" for number in range(256))
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class LocalObjectStore:
    """An `ObjectStore` in the folder `root`, made on the first write unless the store is pinned.

    An object lives at `root/<first two digits>/<name>`. It is written to `root/partial/<name>`, flushed to the disk,
    renamed, and the folder is flushed: in this order a crash leaves it complete or absent (rename(2), fsync(2)).

    Once pinned, everything is done relative to a descriptor of the folder that had the right id. Before each rename,
    that folder must still be what the path leads to.
    """

    def __init__(
        self, root: Path, *, make_name: Callable[[], str] = new_name, crash_point: CrashPoint = no_crash
    ) -> None:
        self._root = root
        self._make_name = make_name
        self._crash_point = crash_point
        self._preparing = threading.Lock()
        self._place: _Place | None = _Place(f"{root}/")
        """Where to work; None if the pinned store is away."""

    def put(self, chunks: Iterable[bytes], name: str | None = None) -> StoredObject:
        """See `ObjectStore`."""
        return self._put(chunks, self._make_name() if name is None else checked(name), replace=False)

    def replace(self, name: str, chunks: Iterable[bytes]) -> StoredObject:
        """See `ObjectStore`."""
        return self._put(chunks, checked(name), replace=True)

    def _put(self, chunks: Iterable[bytes], name: str, *, replace: bool) -> StoredObject:
        with self._errors("written"):
            at = self._here()
            partial, final = f"{_PARTIALS}/{name}", _path(name)
            self._prepare(at)
            if replace:
                at.unlink(partial)  # of a repair that was interrupted
            elif at.stat(final) is not None:
                raise FileExistsError(errno.EEXIST, "the name is taken", name)
            made = partial
            try:
                stored = self._write(at, partial, name, chunks)
                self._crash_point("object-flushed")
                self._check_place(at)
                if replace and at.is_folder(final):
                    self.quarantine(name)
                at.rename(partial, final)
                made = partial if replace else final
                self._crash_point("object-renamed")
                at.flush(name[:2])
            except BaseException:
                with contextlib.suppress(OSError):
                    at.unlink(made)
                raise
            return stored

    def quarantine(self, name: str) -> None:
        """See `ObjectStore`."""
        with self._errors("written"):
            at = self._here()
            self._check_place(at)
            if at.stat(_path(name)) is None:
                return
            at.make_folder(QUARANTINE)
            at.rename(_path(name), f"{QUARANTINE}/{name}")
            for folder in (QUARANTINE, name[:2], "."):
                at.flush(folder)

    def open(self, name: str) -> _OpenFile:
        """See `ObjectStore`."""
        with self._errors("read"):
            try:
                descriptor = self._here().open(_path(name), _READ)
                try:
                    return _OpenFile(io.FileIO(descriptor))  # unbuffered
                except OSError:
                    os.close(descriptor)
                    raise
            except (FileNotFoundError, IsADirectoryError):
                raise ObjectMissing(name) from None

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        with self._errors("written"):
            self._here().unlink(_path(name))

    def delete_many(self, names: Sequence[str]) -> None:
        """See `ObjectStore`."""
        for name in names:
            self.delete(name)

    def stat(self, name: str) -> ObjectInfo | None:
        """See `ObjectStore`."""
        with self._errors("read"):
            return self._here().info(name[:2], checked(name))

    def list(self, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """See `ObjectStore`. The first digits of a name are its folder, so folder order is name order."""
        with self._errors("read"):
            return _list(self._here(), after, limit)

    def partials(self) -> Iterator[ObjectInfo]:
        """See `ObjectStore`."""
        with self._errors("read"):
            at = self._here()
            found = [info for name in at.names(_PARTIALS) if (info := at.info(_PARTIALS, name))]
        yield from found

    def delete_partial(self, name: str) -> None:
        """See `ObjectStore`."""
        with self._errors("written"):
            self._here().unlink(f"{_PARTIALS}/{checked(name)}")

    def check(self) -> None:
        """See `ObjectStore`."""
        with self._errors("written"):
            at = self._here()
            self._prepare(at)
            if not at.is_writable(_PARTIALS):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self._root))

    def look(self) -> StoreSeen:
        """See `ObjectStore`."""
        with self._errors("read"):
            at = _Place(f"{self._root}/")
            return StoreSeen(at.read_id(), empty=not _list(at, "", 1))

    def mark(self, store_id: str) -> None:
        """See `ObjectStore`."""
        with self._errors("written"):
            _make_folder(self._root)
            half = self._root / f"{STORE_ID}.half"
            with half.open("w", encoding="ascii") as file:
                file.write(store_id)
                file.flush()
                os.fsync(file.fileno())
            half.replace(self._root / STORE_ID)
            _Place(f"{self._root}/").flush(".")

    def pin(self, store_id: str) -> bool:
        """See `ObjectStore`. Two calls of stat(2) if nothing has changed."""
        with self._errors("read"):
            at = self._place
            if at is None or at.store_id != store_id or not at.is_still_at(self._root):
                self._place = _pinned(self._root, store_id)
            return self._place is not None

    def _here(self) -> _Place:
        at = self._place
        if at is None:
            raise StoreAway(f"The object store {self._root} is not this system's.")
        return at

    def _check_place(self, at: _Place) -> None:
        if at.store_id is not None and not at.is_still_at(self._root):
            raise StoreAway("The object store was unmounted or replaced during the write.")

    def _write(self, at: _Place, path: str, name: str, chunks: Iterable[bytes]) -> StoredObject:
        digest, size = hashlib.sha256(), 0
        with os.fdopen(at.open(path, _CREATE), "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            self._crash_point("object-written")
            file.flush()
            os.fsync(file.fileno())
        return StoredObject(name, size, digest.hexdigest())

    def _prepare(self, at: _Place) -> None:
        """Make all folders on the first write, so that later ones need not flush new folders."""
        with self._preparing:
            if at.prepared and at.stat(_PARTIALS) is not None:
                return
            if at.store_id is None:
                _make_folder(self._root)
            for folder in (_PARTIALS, *_SHARDS):
                at.make_folder(folder)
            at.flush(".")
            at.prepared = True

    @contextlib.contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise OutOfSpace("The object store is full.") from error
            _log.warning("object store %s cannot be %s: %s", self._root, done, error)
            raise Unavailable(f"The object store cannot be {done}: {error.strerror or error}.") from error


class _Place:
    """The folder that paths are relative to: by its path, or by a descriptor that it owns. Raises OSError."""

    def __init__(self, prefix: str, descriptor: int | None = None, store_id: str | None = None) -> None:
        self.prepared = False
        self.store_id = store_id
        """The id, if the place is pinned."""
        self._prefix = prefix
        self._descriptor = descriptor
        self._marks = self._current_marks(os.fstat(descriptor)) if descriptor is not None else None

    def __del__(self) -> None:
        # Not earlier: another thread may be using it.
        if self._descriptor is not None:
            os.close(self._descriptor)

    def is_still_at(self, root: Path) -> bool:
        """Whether the path still leads here, and the file with the id has not changed."""
        try:
            return self._current_marks(root.stat()) == self._marks
        except OSError:
            return False

    def _current_marks(self, root: os.stat_result) -> tuple[int, ...]:
        mark = os.stat(self._prefix + STORE_ID, dir_fd=self._descriptor)
        return root.st_dev, root.st_ino, mark.st_dev, mark.st_ino, mark.st_mtime_ns

    def read_id(self) -> str | None:
        """The id of the store here."""
        try:
            with os.fdopen(self.open(STORE_ID, _READ), "rb") as file:
                return file.read(64).decode("ascii", "replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, path: str, flags: int) -> int:
        return os.open(self._prefix + path, flags, 0o666, dir_fd=self._descriptor)

    def stat(self, path: str) -> os.stat_result | None:
        try:
            return os.stat(self._prefix + path, dir_fd=self._descriptor)
        except FileNotFoundError:
            return None

    def is_folder(self, path: str) -> bool:
        status = self.stat(path)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def info(self, folder: str, name: str) -> ObjectInfo | None:
        status = self.stat(f"{folder}/{name}")
        return None if status is None else ObjectInfo(name, status.st_size, status.st_mtime)

    def names(self, folder: str) -> list[str]:
        """The objects' names in a folder, sorted."""
        try:
            descriptor = self.open(folder, _FOLDER)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            with os.scandir(descriptor) as entries:
                return sorted(entry.name for entry in entries if NAME.fullmatch(entry.name))
        finally:
            os.close(descriptor)

    def rename(self, source: str, target: str) -> None:
        at = self._descriptor
        os.rename(self._prefix + source, self._prefix + target, src_dir_fd=at, dst_dir_fd=at)

    def unlink(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._prefix + path, dir_fd=self._descriptor)

    def make_folder(self, path: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._prefix + path, dir_fd=self._descriptor)

    def is_writable(self, path: str) -> bool:
        return os.access(self._prefix + path, os.W_OK | os.X_OK, dir_fd=self._descriptor)

    def flush(self, folder: str) -> None:
        descriptor = self.open(folder, _FOLDER)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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


def _path(name: str) -> str:
    return f"{name[:2]}/{checked(name)}"


def _list(at: _Place, after: str, limit: int) -> list[ObjectInfo]:
    found: list[ObjectInfo] = []
    for shard in _SHARDS:
        if shard >= after[:2]:
            names = [name for name in at.names(shard) if name > after]
            found.extend(info for name in names[: limit - len(found)] if (info := at.info(shard, name)))
        if len(found) >= limit:
            break
    return found


def _pinned(root: Path, store_id: str) -> _Place | None:
    """The folder at `root`, if it is there and has this id."""
    try:
        at = _Place("", os.open(root, _FOLDER), store_id)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return at if at.read_id() == store_id else None


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _Place(f"{folder.parent}/").flush(".")
