"""What a run records: its resizes, and how it survived the loss of a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.elastic.images import Catalog
from benchmarks.elastic.load import Read
from elastic_images.core.assignment import Assignment, moves

ALLOWED_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Survival:
    """What the loss of a node did to reads of its images."""

    how: str
    """`killed`, or `stopped`: it hangs, and no write is there to notice it."""
    seconds: float
    """From the loss until other nodes owned its partitions in the map."""
    last_bypass_seconds: float
    """From the loss until the last read that bypassed the pool was sent, before the node came back."""
    bypassed: int
    slowest_ms: float
    failed: int
    requests: int

    def broken(self) -> list[str]:
        """The promises it broke, in words."""
        found = []
        if max(self.seconds, self.last_bypass_seconds) > ALLOWED_SECONDS:
            found.append(f"served by the others only after {max(self.seconds, self.last_bypass_seconds):.1f} s")
        if self.failed:
            found.append(f"{self.failed} failed requests")
        return found

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "how": self.how,
            "seconds": round(self.seconds, 2),
            "last_bypass_seconds": round(self.last_bypass_seconds, 2),
            "bypassed": self.bypassed,
            "slowest_ms": round(self.slowest_ms, 1),
            "failed": self.failed,
            "requests": self.requests,
            "broken": self.broken(),
        }


@dataclass(frozen=True, slots=True)
class Resize:
    """What happened, and when, by `time.monotonic`."""

    from_nodes: int
    to_nodes: int
    began_at: float
    """The measurement before the resize began."""
    asked_at: float
    opened_at: float
    closed_at: float
    settled_at: float
    ended_at: float
    before: Assignment
    after: Assignment
    moved_bytes: int

    @property
    def moved_partitions(self) -> int:
        """How many partitions changed their owner."""
        return moves(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Run:
    """All requests to one system, its resizes, and how it survived the loss of a node after them."""

    catalog: Catalog
    capacity_bytes: int
    first: Assignment
    reads: list[Read]
    resizes: list[Resize]
    survivals: list[Survival]
