"""Imaging in the test's own process: for tests that are about something else."""

from __future__ import annotations

import mmap
from collections.abc import Callable

from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.imaging import Body, Picture, Priority, Rendition
from elastic_images.imaging.inspection import DEFAULT_LIMITS, inspect
from elastic_images.imaging.limits import Limits
from elastic_images.imaging.rendering import render


class ImagingHere:
    """`Imaging` without a broker: no limits of memory and time."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self.failure: Exception | None = None
        """What inspections end with."""

    def inspect(
        self, body: Body, *, deadline: float, gone: Callable[[], bool] | None = None, name: str = "", client: str = ""
    ) -> Picture:
        assert deadline > 0
        assert not name or (name.isalnum() and client)
        assert gone is None or not gone()
        if self.failure is not None:
            raise self.failure
        return inspect(_data(body), self._limits)

    def give_up(self, name: str) -> None:
        raise NotImplementedError

    def render(self, original: Body, spec: RenditionSpec, *, priority: Priority, deadline: float) -> Rendition:
        assert deadline > 0
        assert priority in Priority
        return render(_data(original), spec)


def _data(body: Body) -> bytes | mmap.mmap:
    return body if isinstance(body, bytes) else mmap.mmap(body, 0, access=mmap.ACCESS_READ)
