"""Reads an image: its row first, in a fresh transaction, then its object."""

from __future__ import annotations

import logging

from elastic_images.core.errors import ElasticImagesError, NotFound
from elastic_images.core.image_facts import ImageFacts
from elastic_images.metrics.counters import Counters
from elastic_images.storage.catalog.catalog import Catalog
from elastic_images.storage.objects.object_store import ObjectMissing, ObjectStore, OpenObject

_log = logging.getLogger(__name__)
_ATTEMPTS = 10


class BytesLost(ElasticImagesError):
    """The catalog has the image, but the object store does not have its bytes."""

    slug, title = "bytes-lost", "Bytes lost"


class ImageReader:
    """Reads images, without caching: each call sees the current state.

    Safe to share between threads.
    """

    def __init__(self, catalog: Catalog, store: ObjectStore, counters: Counters) -> None:
        self._catalog = catalog
        self._store = store
        self._count_read = counters.counter("reads").increment

    def facts(self, key: str) -> ImageFacts:
        """The metadata of `key`. Raises NotFound."""
        image = self._catalog.find(key)
        if image is None:
            raise NotFound(f"There is no image {key!r}.")
        return image.facts

    def open(self, key: str) -> tuple[ImageFacts, OpenObject]:
        """The metadata of `key` and its bytes, to be closed by the caller.

        If the object is missing, the image was replaced after its row was read, so the row is read again.

        Raises:
            NotFound: there is no such image.
            BytesLost: the row names an object that is missing or has the wrong length.
        """
        missing = None
        for _ in range(_ATTEMPTS):
            image = self._catalog.find(key)
            if image is None:
                raise NotFound(f"There is no image {key!r}.")
            if image.object_name == missing:
                break
            try:
                found = self._store.open(image.object_name)
            except ObjectMissing:
                missing = image.object_name
                continue
            if found.size_bytes == image.facts.size_bytes:
                self._count_read()
                return image.facts, found
            found.close()
            break
        _log.error("bytes of %r lost: object missing or of the wrong length", key)
        raise BytesLost(f"The bytes of {key!r} are lost; run `elastic-images fsck` for details.")
