"""An ideal pool: LRU caches without a network, to which resizes cost nothing. What the measured pool is compared with.

It is given the very requests that were made, in their order, so that chance is the same on both sides.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict

from benchmarks.elastic.images import Catalog
from elastic_images.core.assignment import Assignment


class IdealPool:
    """Nodes of `capacity_bytes` each, with partitions dealt as `assignment` says."""

    def __init__(self, catalog: Catalog, capacity_bytes: int, assignment: Assignment) -> None:
        self._catalog = catalog
        self._capacity_bytes = capacity_bytes
        self._assignment = assignment
        self._nodes: dict[int, OrderedDict[int, int]] = {slot: OrderedDict() for slot in set(assignment)}
        self._used_bytes = dict.fromkeys(self._nodes, 0)
        self._now = 0

    def read(self, number: int) -> bool:
        """Ask for an image; whether it was a hit."""
        self._now += 1
        slot = self._assignment[self._catalog.partitions[number]]
        node = self._nodes[slot]
        hit = number in node
        if not hit:
            self._used_bytes[slot] += self._catalog.sizes_bytes[number]
        node[number] = self._now
        node.move_to_end(number)
        while self._used_bytes[slot] > self._capacity_bytes:
            coldest, _ = node.popitem(last=False)
            self._used_bytes[slot] -= self._catalog.sizes_bytes[coldest]
        return hit

    def resize(self, assignment: Assignment) -> None:
        """Every node has at once, of what all nodes held, the most recently used that fits."""
        held = heapq.nlargest(
            sum(map(len, self._nodes.values())),
            ((used_at, number) for node in self._nodes.values() for number, used_at in node.items()),
        )
        self._assignment = assignment
        self._nodes = {slot: OrderedDict() for slot in set(assignment)}
        self._used_bytes = dict.fromkeys(self._nodes, 0)
        for used_at, number in held:
            slot = assignment[self._catalog.partitions[number]]
            size = self._catalog.sizes_bytes[number]
            if self._used_bytes[slot] + size <= self._capacity_bytes:
                self._nodes[slot][number] = used_at
                self._used_bytes[slot] += size
        for node in self._nodes.values():
            # The coldest first, as `read` expects it.
            for number in reversed(list(node)):
                node.move_to_end(number)
