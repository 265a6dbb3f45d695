"""What is counted of renditions."""

from __future__ import annotations

import pytest
from testing.clock import Clock

from elastic_images.core.errors import TooLarge
from elastic_images.metrics.counters import Counters
from elastic_images.metrics.rendition_figures import RenditionFigures


def test_renditions_are_counted_by_format_with_their_time() -> None:
    counters, clock = Counters(), Clock()
    figures = RenditionFigures(counters, clock)
    with figures.one() as count:
        assert counters.read()["renditions_waiting"] == 1
        clock.now += 2.0
        count("image/webp")
    with figures.one():
        pass  # an original, which was there
    read = counters.read_by_label()
    assert read["renditions"] == {"jpeg": 0, "png": 0, "webp": 1, "avif": 0}
    assert read["rendition_seconds"]["webp"] == 2.0
    assert counters.read()["renditions_waiting"] == 0


def test_those_not_made_are_counted_by_reason() -> None:
    counters = Counters()
    figures = RenditionFigures(counters)
    with pytest.raises(TooLarge), figures.one():
        raise TooLarge("IMAGING_MEMORY_MB")
    read = counters.read_by_label()
    assert read["refused_renditions"] == {"too-large": 1, "not-an-image": 0, "broken-image": 0, "unavailable": 0}
    assert sum(read["renditions"].values()) == counters.read()["renditions_waiting"] == 0
