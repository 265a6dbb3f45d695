"""What the manager asks of other apps, as Protocols that tests can replace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from elastic_images.core.events import EventRecord
from elastic_images.core.image_facts import Actor, BadImagePage, ScrubStatus, StorageHealth, WholeUsage
from elastic_images.core.pool_document import (
    ClearedDocument,
    ConfigDocument,
    DecisionRecord,
    PoolDocument,
    RateDocument,
    ResizeRecord,
    SeriesDocument,
)
from elastic_images.http.readiness import Readiness


class PoolControl(Protocol):
    """The autoscaler (`autoscaler/client.py`). Safe for concurrent use; every method raises Unavailable."""

    def readiness(self) -> Readiness:
        """What the autoscaler can do now."""

    def pool(self) -> PoolDocument:
        """Map, wanted size, mode, phase, nodes and the resize under way."""

    def config(self) -> ConfigDocument:
        """The pool's settings."""

    def update_config(self, changes: Mapping[str, object]) -> ConfigDocument:
        """Change some settings, all or nothing, and return all of them. Raises InvalidRequest."""

    def clear(self) -> ClearedDocument:
        """Empty every cache."""

    def decisions(self, limit: int = 50, before: int | None = None) -> list[DecisionRecord]:
        """Scaling decisions, newest first."""

    def resizes(self, limit: int = 50, before: int | None = None) -> list[ResizeRecord]:
        """Resizes, newest first."""

    def events(self, limit: int = 50, before: int | None = None) -> list[EventRecord]:
        """Events, newest first."""

    def metrics(self, name: str, minutes: int = 60, source: str | None = None) -> SeriesDocument:
        """A metric's 1-minute series."""

    def rate(self, window_seconds: float = 60) -> RateDocument:
        """Requests, hits, misses and their rates."""


class ImageStore(Protocol):
    """Storage (`storage/client.py`). Safe for concurrent use; every method raises Unavailable."""

    def readiness(self) -> Readiness:
        """What storage can do now."""

    def health(self) -> list[StorageHealth]:
        """How each storage app fares."""

    def usage(self) -> WholeUsage:
        """How much is stored, and how much of it is damaged or lost."""

    def bad_images(self, cursor: str | None = None) -> BadImagePage:
        """Images whose stored bytes are damaged or lost, by key. Raises InvalidRequest for a bad cursor."""

    def scrub_status(self) -> ScrubStatus:
        """How far the scrubber is."""

    def request_scrub(self) -> ScrubStatus:
        """Ask for a round of the scrubber. Does not wait for it."""

    def delete_all(self, *, actor: Actor) -> int:
        """Delete every image; how many there were. Raises Forbidden."""

    def delete_all_progress(self, *, actor: Actor) -> Iterator[int]:
        """Delete every image, yielding how many are gone so far. Raises Forbidden."""
