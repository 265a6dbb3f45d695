"""When a resize that is open may be closed."""

from __future__ import annotations

from typing import Protocol

from elastic_images.pool.view import LIVE, PoolView


class Warmer(Protocol):
    """Decides how long the previous owners go on answering."""

    def warmed(self, view: PoolView, open_seconds: float) -> bool:
        """Whether the resize of `view`, seen open for `open_seconds`, may be closed. Called often; does not wait."""


class BriefWarmer:
    """Closes as soon as every member has taken the open map, and after `max_seconds` in any case."""

    def __init__(self, max_seconds: float = 1.0) -> None:
        self._max_seconds = max_seconds

    def warmed(self, view: PoolView, open_seconds: float) -> bool:
        """See `Warmer`."""
        if view.map is None or open_seconds >= self._max_seconds:
            return True
        return all(member.epoch >= view.map.epoch for member in view.members if member.state == LIVE)
