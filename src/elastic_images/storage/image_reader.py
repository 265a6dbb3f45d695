"""How the bytes of an image are read: the row first, in a fresh transaction, then its object."""

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
    """The catalog has the image, the object store has not its bytes."""

    slug, title = "bytes-lost", "Bytes lost"


class ImageReader:
    """Reads images. Keeps nothing, joins nothing: each call sees what is there when it is called.

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

        An object that is missing was replaced between the two looks, so the row is read again.

        Raises:
            NotFound: there is no such image.
            BytesLost: the row names an object that is gone or has another length.
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
        _log.error("the bytes of %r are lost: its object is missing or has another length", key)
        raise BytesLost(f"The bytes of {key!r} are lost; `elastic-images fsck` says more.")
