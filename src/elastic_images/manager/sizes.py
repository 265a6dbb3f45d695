"""What a resize would move, before anybody asks for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from elastic_images.core.assignment import MAX_NODES, MIN_NODES
from elastic_images.manager.services import Record


@dataclass(frozen=True, slots=True)
class Size:
    """A size that the pool may have."""

    nodes: int
    moves: int | None
    """How many of the 16 partitions would change their node; None while there is no map."""


def sizes(pool: Record | None) -> list[Size]:
    """All sizes, given what the autoscaler tells of the pool (None: it tells nothing)."""
    told = pool or {}
    moves = (told.get("moves") or {}).get(told.get("assignment")) or {}
    return [Size(nodes, moves.get(str(nodes))) for nodes in range(MIN_NODES, MAX_NODES + 1)]
