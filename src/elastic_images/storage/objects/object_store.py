"""The seam between the write path and where bytes are kept."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

NAME = re.compile(r"[0-9a-f]{32}")
CHUNK_BYTES = 256 * 1024


class ObjectMissing(Exception):
    """There is no object of that name."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as a listing shows it. `created_at` is in seconds since the epoch, by the store's clock."""

    name: str
    size_bytes: int
    created_at: float


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What was written: counted and hashed from the bytes as they went in."""

    name: str
    size_bytes: int
    sha256: str


class OpenObject(Protocol):
    """One object, open for reading by one thread. A context manager that closes it."""

    @property
    def size_bytes(self) -> int:
        """Its length."""

    def read(self, size: int = -1, /) -> bytes:
        """The next `size` bytes, fewer at the end, all by default."""

    def close(self) -> None:
        """Let go of it; a second call does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ObjectStore(Protocol):
    """Keeps objects. Safe to share between threads and between processes.

    An object is whole from the moment it can be seen, and stays as it is until it is deleted. What `put` returned
    for survives a crash of the machine. Library and system errors come out as:

    Raises:
        OutOfSpace: there is no room; nothing is left behind.
        Unavailable: the store cannot be reached, read or written.
    """

    def put(self, chunks: Iterable[bytes], name: str | None = None) -> StoredObject:
        """Keep the bytes of `chunks` as a new object. Where `chunks` raises, nothing is left behind.

        It gets a fresh name, or `name`. A name that is taken is Unavailable, and what has it stays.
        """

    def open(self, name: str) -> OpenObject:
        """Read an object. Raises ObjectMissing."""

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there is removed already."""

    def delete_many(self, names: Sequence[str]) -> None:
        """As `delete` for each, in few steps. After an error some are gone."""

    def stat(self, name: str) -> ObjectInfo | None:
        """What a listing would show of the object, None where it is not there."""

    def list(self, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """Objects with names above `after`, sorted by name, at most `limit`; an empty list is the end."""

    def partials(self) -> Iterator[ObjectInfo]:
        """What a crash in the middle of a `put` left, and what is being put now."""

    def delete_partial(self, name: str) -> None:
        """Remove one of `partials`."""

    def check(self) -> None:
        """Return where the store can be written. Raises Unavailable with the reason."""


def new_name() -> str:
    """A random name: 32 hexadecimal digits, 128 bits, nothing of the key in it."""
    return secrets.token_hex(16)


def checked(name: str) -> str:
    """Give `name` back where it is an object's name. Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no object's name")
    return name
