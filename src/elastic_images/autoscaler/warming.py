"""When an open resize may be closed."""

from __future__ import annotations

from typing import Protocol

from elastic_images.autoscaler.nodes.stats import NodeStats
from elastic_images.pool.view import LIVE, PoolView

TAKING_SECONDS = 1.0
"""How long to wait for members to take the open map."""
WARM_SECONDS = 300.0
"""How long the new owners may pull. Entries not pulled by then are filled from storage."""
_MAX_AGE_SECONDS = 0.1


class Warmer(Protocol):
    """Decides how long the previous owners keep serving."""

    def warmed(self, view: PoolView, open_seconds: float) -> bool:
        """Whether the resize of `view`, seen open for `open_seconds`, may be closed. Called often; does not wait."""


class BriefWarmer:
    """Closes once every member has taken the open map, and after `max_seconds` in any case."""

    def __init__(self, max_seconds: float = TAKING_SECONDS) -> None:
        self._max_seconds = max_seconds

    def warmed(self, view: PoolView, open_seconds: float) -> bool:
        """See `Warmer`."""
        if view.map is None or open_seconds >= self._max_seconds:
            return True
        return all(member.epoch >= view.map.epoch for member in view.members if member.state == LIVE)


class PullWarmer:
    """Closes once every new owner reports that it has pulled what it gains, and after `max_seconds` in any case."""

    def __init__(self, stats: NodeStats, *, max_seconds: float = WARM_SECONDS) -> None:
        self._stats = stats
        self._max_seconds = max_seconds
        self._taking = BriefWarmer()

    def warmed(self, view: PoolView, open_seconds: float) -> bool:
        """See `Warmer`."""
        if view.map is None or open_seconds >= self._max_seconds:
            return True
        # A node that has named the open epoch has begun this pull, so its report is about this one.
        if not self._taking.warmed(view, open_seconds):
            return False
        gaining = {state.owner for state in view.map.partitions if state.previous is not None}
        members = [member for slot in sorted(gaining) if (member := view.live_node(slot))]
        self._stats.refresh(members, _MAX_AGE_SECONDS)
        return all(self._has_pulled(member.incarnation, view.map.epoch) for member in members)

    def _has_pulled(self, incarnation: str, epoch: int) -> bool:
        pull = (self._stats.latest(incarnation) or {}).get("pull") or {}
        return pull.get("epoch") == epoch and pull.get("done") is True
