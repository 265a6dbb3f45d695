"""What the autoscaler answers, as JSON: the pool, its resizes and decisions, and its metrics."""

from __future__ import annotations

from typing import Any, TypedDict


class PartitionDocument(TypedDict):
    """One of the 16 partitions. Numbers are slots."""

    owner: int
    previous: int | None
    copies: list[int]


class MapDocument(TypedDict):
    """A pool map; see `core.pool_map.PoolMap`."""

    epoch: int
    partitions: list[PartitionDocument]


class PullDocument(TypedDict, total=False):
    """How far a new owner is with pulling the partitions that it gains."""

    epoch: int
    done: bool


class NodeStatistics(TypedDict, total=False):
    """A node's `GET /stats`, as far as other apps read it."""

    incarnation: str
    epoch: int
    started_at: float
    items: int
    bytes: int
    capacity_bytes: int
    hits: int
    misses: int
    handed_over_bytes: int
    pull: PullDocument


class NodeDocument(TypedDict):
    """A node of the pool."""

    slot: int
    id: str
    state: str
    """`live`, `fenced`, `dead`, `stopping`, `starting` (not registered yet) or `absent`."""
    address: str | None
    """`host:port` where it serves images."""
    control_address: str | None
    incarnation: str | None
    partitions: list[int]
    """As people count them, 1 to 16."""
    epoch: int | None
    started_at: float | None
    stats: NodeStatistics | None


ResizeRecord = TypedDict(
    "ResizeRecord",
    {
        "id": int,
        "started_at": float,
        "finished_at": float | None,
        "state": str,
        "epoch": int,
        "wanted": int,
        "from": list[int],
        "to": list[int],
        "reason": str,
        "outcome": str | None,
    },
)
"""A resize. `state` is `open`, `closing`, `aborting` or `finished`; `outcome` is `done` or `aborted`, None until the
end. `from` and `to` are slots."""


class PoolDocument(TypedDict):
    """The pool as a whole: `GET /internal/pool`."""

    map: MapDocument | None
    wanted: int
    mode: str
    phase: str
    """`new` (no map), `settled`, `open` or `closing`."""
    busy: bool
    nodes: list[NodeDocument]
    resize: ResizeRecord | None
    assignment: str
    moves: dict[str, dict[str, int]] | None
    """How many partitions a resize would move: by the name of the assignment, and by the size ("1" to "8")."""


class ConfigDocument(TypedDict):
    """The pool's settings; see `core.pool_config.ScalingConfig`. A number that is not finite is null."""

    mode: str
    num_nodes: int
    cache_mb: int
    policy: str
    expand_ratio: float | None
    shrink_ratio: float | None
    max_miss: float | None
    min_miss: float | None
    assignment: str


class ClearedDocument(TypedDict):
    """Ids of the members whose caches are empty now, and of those that did not respond."""

    cleared: list[str]
    failed: list[str]


class DecisionRecord(TypedDict):
    """A decision of automatic mode."""

    id: int
    at: float
    policy: str
    action: str
    """`grow`, `shrink`, `hold` or `error`."""
    nodes_before: int
    nodes_after: int
    reason: str
    inputs: dict[str, Any]


class SeriesDocument(TypedDict):
    """A metric over time, oldest point first; see `metrics.store.Series`."""

    name: str
    source: str | None
    step_seconds: int
    points: list[tuple[float, float | None]]


class RateDocument(TypedDict):
    """Requests of the last seconds, by all sources together. Rates are 0 to 1, None without requests."""

    requests: int
    hits: int
    misses: int
    miss_rate: float | None
    hit_rate: float | None
    sources: list[str]
