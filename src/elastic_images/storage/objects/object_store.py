"""`ObjectStore`, the protocol that every store of image bytes implements."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

NAME = re.compile(r"[0-9a-f]{32}")
STORE_ID = "store-id"
"""The file or object, beside the objects, that holds the store's id."""
QUARANTINE = "quarantine"
"""The folder or prefix, beside the objects, that `ObjectStore.quarantine` moves them to."""
CHUNK_BYTES = 256 * 1024


class ObjectMissing(Exception):
    """There is no object with that name."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object in a listing. `created_at` is in seconds since the epoch, by the store's clock."""

    name: str
    size_bytes: int
    created_at: float


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A stored object, counted and hashed as it was written."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """What is at a store's place: the store's id, None if it has none, and whether there are objects."""

    store_id: str | None
    empty: bool


class OpenObject(Protocol):
    """One object, open for reading by one thread. A context manager that closes it."""

    @property
    def size_bytes(self) -> int:
        """Its length."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end; all that is left by default."""

    def close(self) -> None:
        """Close it; a second call does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_error: object) -> None: ...


class ObjectStore(Protocol):
    """Stores objects. Safe to share between threads and processes.

    An object is complete once it is visible, and never changes until it is deleted, unless a repair replaces it. Once
    `put` has returned, it survives a crash of the machine. Library and system errors are raised as:

    Raises:
        OutOfSpace: the store is full; nothing is left behind.
        Unavailable: the store cannot be reached, read or written.
    """

    def put(self, chunks: Iterable[bytes], name: str | None = None) -> StoredObject:
        """Store the bytes of `chunks` as a new object. If `chunks` raises, nothing is left behind.

        It gets a fresh name, or `name`. Raises Unavailable if the name is taken; the existing object stays.
        """

    def replace(self, name: str, chunks: Iterable[bytes]) -> StoredObject:
        """For repairs: store the bytes of `chunks` under `name`, in place of what is there.

        Readers get the old bytes or the new ones, whole. If `chunks` raises, nothing changes.
        """

    def quarantine(self, name: str) -> None:
        """For repairs: move an object to `quarantine/`, where only people find it. Does nothing if it is not there."""

    def open(self, name: str) -> OpenObject:
        """Open an object for reading. Raises ObjectMissing."""

    def delete(self, name: str) -> None:
        """Delete an object. Does nothing if it does not exist."""

    def delete_many(self, names: Sequence[str]) -> None:
        """Delete several objects, in few requests. After an error, some may be deleted."""

    def stat(self, name: str) -> ObjectInfo | None:
        """The object as in a listing, None if it does not exist."""

    def list(self, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """Objects with names above `after`, sorted by name, at most `limit`; an empty list at the end."""

    def partials(self) -> Iterator[ObjectInfo]:
        """Incomplete objects: running puts, and what crashed ones left."""

    def delete_partial(self, name: str) -> None:
        """Delete one of `partials`."""

    def check(self) -> None:
        """Check that the store is writable. Raises Unavailable with the reason."""

    def look(self) -> StoreSeen:
        """What is at the store's place now. A store that is absent has no id and is empty."""

    def mark(self, store_id: str) -> None:
        """Give the store this id instead of the one it may have. Makes the store if it is absent."""

    def pin(self, store_id: str) -> bool:
        """Whether the store with this id is at its place now.

        From the first call on, this instance works with that very store: while another one is in its place, nothing
        is written there, and StoreAway is raised.
        """


def new_name() -> str:
    """A random name: 32 hexadecimal digits, independent of the key."""
    return secrets.token_hex(16)


def checked(name: str) -> str:
    """Give `name` back if it is a valid object name. Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not an object name")
    return name
