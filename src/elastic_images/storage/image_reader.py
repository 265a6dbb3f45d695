"""Reads an image: its row first, in a fresh transaction, then its object, checked by length and SHA-256.

An object that is wrong is read once more from the start, because a read may fail by chance, before it is recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from elastic_images.core.errors import Damaged, ElasticImagesError, Lost, NotFound, Unavailable
from elastic_images.core.image_facts import Actor, ImageFacts
from elastic_images.core.visibility import may_see
from elastic_images.metrics.counters import Counters
from elastic_images.storage.bad_objects import BadObjects
from elastic_images.storage.catalog.catalog import Catalog, CatalogImage
from elastic_images.storage.objects.object_store import CHUNK_BYTES, ObjectStore, OpenObject
from elastic_images.storage.verified import BadObject, check_digest, open_object, read_object, unreadable

T = TypeVar("T")

_ATTEMPTS = 10


class ImageReader:
    """Reads images, without caching: each call sees the current state.

    To an `actor` who may not see an image there is none; None stands for our own processes, which see all of them.
    Safe to share between threads.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: ObjectStore,
        counters: Counters,
        bad_objects: BadObjects,
        verify_store: Callable[[], None],
    ) -> None:
        """`verify_store` raises Unavailable if the object store is not the catalog's: then nothing is called bad."""
        self._catalog = catalog
        self._store = store
        self._count_read = counters.counter("reads").increment
        self._bad_objects = bad_objects
        self._verify_store = verify_store

    def facts(self, key: str, actor: Actor | None = None) -> ImageFacts:
        """The metadata of `key`. Raises NotFound."""
        return self.find(key, actor).facts

    def find(self, key: str, actor: Actor | None = None) -> CatalogImage:
        """The metadata of `key`, and whose it is. Raises NotFound."""
        image = self._catalog.find(key)
        if image is None or not (actor is None or may_see(actor, image.facts.visibility, image.owner_id)):
            raise NotFound(f"There is no image {key!r}.")
        return image

    def read(self, key: str, actor: Actor | None = None) -> tuple[CatalogImage, bytes]:
        """The image of `key` and its bytes.

        Raises:
            NotFound: there is no such image.
            Damaged, Lost: its object is wrong, or missing.
            Unavailable: the object store does not answer, or is not the catalog's.
        """
        return self._read(key, actor, self._whole)

    def open(self, key: str, actor: Actor | None = None) -> tuple[CatalogImage, Iterable[bytes]]:
        """As `read`, with the bytes as a WSGI answer.

        A large image is streamed. Its last chunk is held back until the digest is right; otherwise the iterator raises
        what `read` raises, and the answer stays incomplete.
        """
        return self._read(key, actor, self._streamed)

    def confirm(self, image: CatalogImage) -> None:
        """Read an image whose object was bad from the start, if the key still has this object. Raises as `read`."""
        current = self._catalog.find(image.facts.key)
        if current is not None and current.object_name == image.object_name:
            self.read(image.facts.key)

    def _read(self, key: str, actor: Actor | None, load: Callable[[CatalogImage], T]) -> tuple[CatalogImage, T]:
        """If an object is missing, the image was replaced after its row was read, so the row is read again."""
        bad_before = None
        for _ in range(_ATTEMPTS):
            image = self.find(key, actor)
            try:
                found = load(image)
            except BadObject as error:
                if image.object_name == bad_before:
                    raise self._recorded(image, error) from None
                bad_before = image.object_name
            else:
                self._count_read()
                return image, found
        raise Unavailable(f"{key!r} kept changing while it was read; try again.")

    def _whole(self, image: CatalogImage) -> bytes:
        facts = image.facts
        data = read_object(self._store, image.object_name, facts.size_bytes, facts.sha256)
        if self._bad_objects.suspects(image.object_name):
            self._bad_objects.clear(image.object_name)
        return data

    def _streamed(self, image: CatalogImage) -> Iterable[bytes]:
        # What was bad is read whole, so that the client gets an error instead of an incomplete answer.
        if image.facts.size_bytes <= CHUNK_BYTES or self._bad_objects.suspects(image.object_name):
            return [self._whole(image)]
        return _Chunks(self, image, open_object(self._store, image.object_name, image.facts.size_bytes))

    def _recorded(self, image: CatalogImage, bad: BadObject) -> ElasticImagesError:
        self._verify_store()
        kind = Lost if bad.state == "lost" else Damaged
        self._bad_objects.record(image.object_name, image.facts.key, bad)
        return kind(f"The stored bytes of this image are {bad.state}. Upload it again, or restore it from a backup.")


class _Chunks:
    """An object's bytes, checked as they are sent. Iterated once, and closed by the WSGI server."""

    def __init__(self, reader: ImageReader, image: CatalogImage, found: OpenObject) -> None:
        self._reader = reader
        self._image = image
        self._found = found

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._checked()
        except BadObject as bad:
            self._reader.confirm(self._image)
            raise Unavailable(f"{self._image.facts.key!r} was read wrong once: {bad}") from None
        finally:
            self.close()

    def _checked(self) -> Iterator[bytes]:
        facts, digest, held = self._image.facts, hashlib.sha256(), b""
        left = facts.size_bytes
        while left:
            try:
                chunk = self._found.read(min(left, CHUNK_BYTES))
            except OSError as error:
                raise unreadable(error) from error
            if not chunk:
                break
            digest.update(chunk)
            left -= len(chunk)
            if held:
                yield held
            held = chunk
        check_digest(digest.hexdigest(), facts.sha256)
        yield held

    def close(self) -> None:
        """Close the object."""
        self._found.close()
