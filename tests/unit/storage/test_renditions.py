"""Renditions that storage makes, where no cache can be used."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from testing.imaging import PretendImaging, rendered
from testing.storage_parts import facts_of
from testing.waiting import wait_for

from elastic_images.core.errors import NotFound, TooLarge
from elastic_images.core.image_facts import Actor
from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.rendition_figures import RenditionFigures
from elastic_images.storage.catalog.catalog import CatalogImage
from elastic_images.storage.image_reader import ImageReader
from elastic_images.storage.renditions import StoredRenditions

SPEC = RenditionSpec(400, format="webp")


class Reader:
    def __init__(self) -> None:
        self.reads = 0
        self._lock = threading.Lock()

    def read(self, key: str, _actor: Actor | None) -> tuple[CatalogImage, bytes]:
        with self._lock:
            self.reads += 1
        if key == "none":
            raise NotFound("none")
        return CatalogImage(facts_of(key), "object", 1), b"original"


def test_a_rendition_has_facts_of_its_own_and_its_originals_digest() -> None:
    imaging = PretendImaging()
    renditions = StoredRenditions(cast(ImageReader, Reader()), imaging, RenditionFigures(Counters()))
    image, original, data = renditions.make("k1", SPEC, None)
    facts = image.facts
    assert data == rendered(b"original", SPEC)
    assert (facts.size_bytes, facts.content_type) == (len(data), "image/webp")
    assert original == facts_of("k1").sha256 != facts.sha256
    assert facts.version == facts_of("k1").version


def test_four_are_made_at_once_at_the_most() -> None:
    imaging, reader = PretendImaging(), Reader()
    renditions = StoredRenditions(cast(ImageReader, reader), imaging, RenditionFigures(Counters()))
    imaging.gate.clear()
    with ThreadPoolExecutor(12) as callers:
        answers = [callers.submit(renditions.make, f"k{number}", SPEC, None) for number in range(12)]
        wait_for(lambda: len(imaging.made) == 4, "all places are taken")
        assert reader.reads == 4, "who waits has read nothing"
        imaging.gate.set()
        assert len({answer.result()[2] for answer in answers}) == 1
    assert len(imaging.made) == 12


def test_a_place_is_given_back_whatever_happens() -> None:
    imaging = PretendImaging()
    renditions = StoredRenditions(cast(ImageReader, Reader()), imaging, RenditionFigures(Counters()))
    imaging.error = TooLarge("IMAGING_MEMORY_MB")
    for key, error in (("none", NotFound), ("k1", TooLarge)) * 5:
        with pytest.raises(error):
            renditions.make(key, SPEC, None)
    imaging.error = None
    assert renditions.make("k1", SPEC, None)[2] == rendered(b"original", SPEC)
