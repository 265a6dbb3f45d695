"""What the manager asks of other apps: small Protocols, so that tests may bring their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from elastic_images.core.image_facts import Actor, Usage

Record = dict[str, Any]


class PoolControl(Protocol):
    """The autoscaler (`autoscaler/client.py`). Safe for concurrent use; every method raises Unavailable."""

    def pool(self) -> Record:
        """Map, wanted size, mode, phase, nodes and the resize under way."""

    def config(self) -> Record:
        """The pool's settings."""

    def update_config(self, changes: Mapping[str, object]) -> Record:
        """Change some of them, all or nothing; the whole as it is then. Raises InvalidRequest."""

    def clear(self) -> Record:
        """Empty every cache."""

    def decisions(self, limit: int = 50, before: int | None = None) -> list[Record]:
        """Scaling decisions, newest first."""

    def resizes(self, limit: int = 50, before: int | None = None) -> list[Record]:
        """Resizes, newest first."""

    def events(self, limit: int = 50, before: int | None = None) -> list[Record]:
        """Events, newest first."""

    def metrics(self, name: str, minutes: int = 60, source: str | None = None) -> Record:
        """A figure's 1-minute series."""

    def rate(self, window_seconds: float = 60) -> Record:
        """Requests, hits, misses, and their rates (None without requests)."""


class ImageStore(Protocol):
    """Storage (`storage/client.py`). Safe for concurrent use; every method raises Unavailable."""

    def usage(self) -> Usage:
        """How much is stored."""

    def delete_all(self, *, actor: Actor) -> int:
        """Delete every image; how many there were. Raises Forbidden."""

    def delete_all_progress(self, *, actor: Actor) -> Iterator[int]:
        """Delete every image, yielding how many are gone so far. Raises Forbidden."""
