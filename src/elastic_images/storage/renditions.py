"""Renditions made by storage, where the pool of caches cannot be used. Nothing is kept."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace

from elastic_images.core.errors import Unavailable
from elastic_images.core.image_facts import Actor
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.imaging import Imaging, Priority
from elastic_images.metrics.rendition_figures import RenditionFigures
from elastic_images.storage.catalog.catalog import CatalogImage
from elastic_images.storage.image_reader import ImageReader

_PLACES = 4
_SECONDS = 30.0


class StoredRenditions:
    """Makes renditions, four at once at the most. Safe to share between threads."""

    def __init__(self, reader: ImageReader, imaging: Imaging, figures: RenditionFigures) -> None:
        self._reader = reader
        self._imaging = imaging
        self._figures = figures
        self._places = threading.BoundedSemaphore(_PLACES)

    def make(self, key: str, spec: RenditionSpec, actor: Actor | None) -> tuple[CatalogImage, str, bytes]:
        """The rendition's facts (type, length and digest are its own), its original's SHA-256, and its bytes.

        Raises as `ImageReader.read` and `Imaging.render`, and Unavailable if no place becomes free within 30 s.
        """
        deadline = time.monotonic() + _SECONDS
        with self._figures.one() as count:
            if not self._places.acquire(timeout=_SECONDS):
                raise Unavailable("Too many renditions are being made without a cache; try again in a moment.")
            try:
                image, data = self._reader.read(key, actor)
                made = self._imaging.render(data, spec, priority=Priority.MEMBER_RENDITION, deadline=deadline)
            finally:
                self._places.release()
            count(made.content_type)
        digest = hashlib.sha256(made.data).hexdigest()
        facts = replace(image.facts, sha256=digest, size_bytes=len(made.data), content_type=made.content_type)
        return replace(image, facts=facts), image.facts.sha256, made.data
