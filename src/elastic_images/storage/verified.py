"""Reads objects and checks them: length and SHA-256 must be those in the catalog."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Literal

from elastic_images.storage.objects.object_store import CHUNK_BYTES, ObjectMissing, ObjectStore, OpenObject

State = Literal["damaged", "lost"]


class BadObject(Exception):
    """An object that is not what the catalog says. The message says why."""

    def __init__(self, state: State, detail: str) -> None:
        super().__init__(detail)
        self.state = state


def open_object(store: ObjectStore, name: str, size_bytes: int) -> OpenObject:
    """Open an object and check its length. Raises BadObject, Unavailable."""
    try:
        found = store.open(name)
    except ObjectMissing:
        raise BadObject("lost", "The object store does not have it.") from None
    if found.size_bytes == size_bytes:
        return found
    found.close()
    raise BadObject("damaged", f"It has {found.size_bytes:,} bytes instead of {size_bytes:,}.")


def check_digest(found: str, wanted: str) -> None:
    """Raises BadObject if the SHA-256 of an object is not the catalog's."""
    if found != wanted:
        raise BadObject("damaged", f"Its SHA-256 is {found}.")


def read_object(store: ObjectStore, name: str, size_bytes: int, sha256: str) -> bytes:
    """The bytes of an object. Raises BadObject, Unavailable."""
    with open_object(store, name, size_bytes) as found:
        try:
            data = found.read()
        except OSError as error:
            raise unreadable(error) from error
    check_digest(hashlib.sha256(data).hexdigest(), sha256)
    return data


def verified_chunks(store: ObjectStore, name: str, size_bytes: int, sha256: str) -> Iterator[bytes]:
    """The bytes of an object, in pieces. Raises BadObject, after the last piece if need be; Unavailable."""
    digest = hashlib.sha256()
    with open_object(store, name, size_bytes) as found:
        while True:
            try:
                chunk = found.read(CHUNK_BYTES)
            except OSError as error:
                raise unreadable(error) from error
            if not chunk:
                break
            digest.update(chunk)
            yield chunk
    check_digest(digest.hexdigest(), sha256)


def examine_object(
    store: ObjectStore, name: str, size_bytes: int, sha256: str, *, pause: Callable[[int], None] = lambda _: None
) -> None:
    """Read an object to check it. `pause` gets the bytes of each chunk. Raises BadObject, Unavailable."""
    for chunk in verified_chunks(store, name, size_bytes, sha256):
        pause(len(chunk))


def unreadable(error: OSError) -> BadObject:
    """For an object that the disk does not give back."""
    return BadObject("damaged", f"It cannot be read: {error.strerror or error}.")
