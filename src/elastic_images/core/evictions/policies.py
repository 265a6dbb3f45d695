"""The orders by the names that people use."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from elastic_images.core.errors import InvalidRequest
from elastic_images.core.evictions.gdsf import GdsfOrder
from elastic_images.core.evictions.lru import LruOrder
from elastic_images.core.evictions.order import EvictionOrder
from elastic_images.core.evictions.random_replacement import RandomOrder
from elastic_images.core.evictions.s3fifo import S3FifoOrder

POLICIES: dict[str, Callable[[Random], EvictionOrder]] = {
    "LRU": lambda _random: LruOrder(),
    "RR": RandomOrder,
    "GDSF": lambda _random: GdsfOrder(),
    "S3FIFO": lambda _random: S3FifoOrder(),
}
"""Least recently used; random replacement; by size, frequency and cost; and three queues."""


def eviction_order(policy: str, random: Random) -> EvictionOrder:
    """An empty order for `policy`. Raises InvalidRequest if the policy is unknown."""
    if policy not in POLICIES:
        raise InvalidRequest(f"Unknown replacement policy {policy!r}; use one of {', '.join(POLICIES)}.")
    return POLICIES[policy](random)
