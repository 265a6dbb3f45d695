"""Odd image files through the real broker: each is an image or a clear refusal, and nothing fails."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest
from testing.fuzzing import TIMES
from testing.imaging_broker import RunningBroker, running_broker, soon
from testing.mangled_images import FORMATS, mangled_images, whole

from elastic_images.core.errors import BrokenImage, ElasticImagesError, EmptyBody, NotAnImage, TooLarge
from elastic_images.core.renditions import PRESETS
from elastic_images.imaging.imaging import Priority

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the broker needs Linux")
FILES = 400 * max(TIMES, 1)
REFUSALS = (BrokenImage, EmptyBody, NotAnImage, TooLarge)


def outcomes(broker: RunningBroker, files: Iterable[tuple[str, bytes]]) -> Counter[str]:
    """What became of each file. What is an image can be shown."""

    def try_one(odd: tuple[str, bytes]) -> str:
        what, body = odd
        try:
            broker.client.inspect(body, deadline=soon(300))
        except REFUSALS as error:
            return type(error).__name__
        except ElasticImagesError as error:
            return f"{what}: {error!r}"
        made = broker.client.render(body, PRESETS["thumb"], priority=Priority.MEMBER_RENDITION, deadline=soon(300))
        return "shown" if made.width <= 320 and made.data else f"{what}: {made}"

    with ThreadPoolExecutor(2) as threads:
        return Counter(threads.map(try_one, files))


def test_the_files_they_are_made_of_are_right(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        assert outcomes(broker, [(kind, whole(kind)) for kind in FORMATS]) == {"shown": len(FORMATS)}


def test_odd_files_are_images_or_refused(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        found = outcomes(broker, islice(mangled_images(seed=TIMES), FILES))
        assert set(found) <= {"shown", *(kind.__name__ for kind in REFUSALS)}, found
        assert min(found["shown"], found["BrokenImage"]) > FILES / 10
        assert broker.is_idle()
