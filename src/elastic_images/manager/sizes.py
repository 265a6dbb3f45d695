"""What a resize to each size would move. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from elastic_images.core.assignment import MAX_NODES, MIN_NODES
from elastic_images.core.pool_document import PoolDocument


@dataclass(frozen=True, slots=True)
class Size:
    """A possible size of the pool."""

    nodes: int
    moves: int | None
    """How many of the 16 partitions would change their node; None while there is no map."""


def sizes(pool: PoolDocument | None) -> list[Size]:
    """All sizes. `pool` is None while the autoscaler does not respond."""
    moves = (pool["moves"] or {}).get(pool["assignment"], {}) if pool else {}
    return [Size(nodes, moves.get(str(nodes))) for nodes in range(MIN_NODES, MAX_NODES + 1)]
