"""Imaging that makes nothing: for tests of what happens around it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from elastic_images.core.rendition_spec import RenditionSpec
from elastic_images.imaging.imaging import Body, Picture, Priority, Rendition


class PretendImaging:
    """Its renditions are their original with the spec in front. Held while `gate` is clear; raises `error` if set."""

    def __init__(self) -> None:
        self.made: list[tuple[bytes, str, Priority]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.ungated: Callable[[], bool] = lambda: False
        """Whether the one that came last need not wait for the gate."""
        self.on_render: Callable[[], None] = lambda: None

    def inspect(
        self, body: Body, *, deadline: float, gone: Callable[[], bool] | None = None, name: str = "", client: str = ""
    ) -> Picture:
        raise NotImplementedError

    def give_up(self, name: str) -> None:
        raise NotImplementedError

    def render(self, original: Body, spec: RenditionSpec, *, priority: Priority, deadline: float) -> Rendition:  # noqa: ARG002 - the protocol's
        assert isinstance(original, bytes)
        self.made.append((original, spec.canonical, priority))
        self.on_render()
        assert self.ungated() or self.gate.wait(60)
        if self.error is not None:
            raise self.error
        return Rendition(rendered(original, spec), "image/webp", 1, 1)


def rendered(original: bytes, spec: RenditionSpec) -> bytes:
    """What `PretendImaging` makes."""
    return spec.canonical.encode() + b" of " + original
