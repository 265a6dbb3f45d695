"""Counts the renditions that a process makes: by format, the time that they take, those that wait, those that fail."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from elastic_images.core import errors
from elastic_images.core.errors import ElasticImagesError
from elastic_images.core.rendition_spec import FORMATS
from elastic_images.metrics.counters import Counters

_COMMON = (errors.TooLarge, errors.NotAnImage, errors.BrokenImage, errors.Unavailable)
"""Counted from 0, as formats are, so that a rate can be computed from the first one."""


class RenditionFigures:
    """Shown by the counters that it is given. Safe to share between threads."""

    def __init__(self, counters: Counters, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = 0
        self._made: Counter[str] = Counter(dict.fromkeys(FORMATS, 0))
        self._seconds = dict.fromkeys(FORMATS, 0.0)
        self._refused: Counter[str] = Counter({kind.slug: 0 for kind in _COMMON})
        counters.follow(lambda: {"renditions_waiting": self._waiting})
        counters.follow_by_label("renditions", lambda: self._made)
        counters.follow_by_label("rendition_seconds", lambda: self._seconds)
        counters.follow_by_label("refused_renditions", lambda: self._refused)

    @contextlib.contextmanager
    def one(self) -> Iterator[Callable[[str], None]]:
        """Count one that is asked for, until the block ends. The block calls what it is given with the type made."""
        began = self._clock()
        with self._lock:
            self._waiting += 1
        try:
            yield lambda content_type: self._count(content_type.removeprefix("image/"), self._clock() - began)
        except ElasticImagesError as error:
            with self._lock:
                self._refused[error.slug] += 1
            raise
        finally:
            with self._lock:
                self._waiting -= 1

    def _count(self, made: str, seconds: float) -> None:
        with self._lock:
            self._made[made] += 1
            self._seconds[made] = self._seconds.get(made, 0.0) + seconds
