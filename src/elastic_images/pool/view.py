"""What the pool looks like at one moment: values that travel between processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from elastic_images.core.pool_map import PoolMap

LIVE, FENCED, DEAD = "live", "fenced", "dead"

LEASE_SECONDS = 3.0
"""How long a member may answer from memory, counted from when it sent the poll that was answered."""
PATIENCE_SECONDS = 1.0
"""How long a writer or the autoscaler waits for a member before it fences it."""
DEATH_SECONDS = 3.5
"""After how long, by the clock of whoever saw it fenced, a member's last lease is over for certain."""


def node_id(slot: int) -> str:
    """The member id of the node in `slot`."""
    return f"node-{slot}"


@dataclass(frozen=True, slots=True)
class Member:
    """One incarnation of a node, or of a web process with a near cache."""

    incarnation: str
    """Random at each start, 32 hexadecimal digits."""
    id: str
    kind: str
    """`node` or `web`."""
    address: str
    """`host:port` of its control listener, which obeys invalidations."""
    data_address: str
    """`host:port` where a node answers reads; empty for a web process."""
    state: str = LIVE
    epoch: int = 0
    """The newest epoch it has named: it has dropped what that map takes from it."""
    registered_at: float = 0.0

    @property
    def slot(self) -> int | None:
        """The slot of a node; None for a web process."""
        return int(self.id.removeprefix("node-")) if self.kind == "node" else None


@dataclass(frozen=True, slots=True)
class PoolView:
    """The map, its members (dead ones left out) and the configuration, read in one transaction."""

    map: PoolMap | None = None
    members: tuple[Member, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    stamp: str = ""
    """Equal stamps mean that nothing changed between."""

    def incarnations(self, slot: int) -> tuple[Member, ...]:
        """All incarnations of the node in `slot` that are not dead, oldest first."""
        return tuple(member for member in self.members if member.slot == slot)

    def live_node(self, slot: int) -> Member | None:
        """The newest live incarnation in `slot`: where its reads go."""
        live = [member for member in self.incarnations(slot) if member.state == LIVE]
        return live[-1] if live else None

    def near_caches(self) -> tuple[Member, ...]:
        """The web processes that keep near caches."""
        return tuple(member for member in self.members if member.kind == "web")

    def find(self, incarnation: str) -> Member | None:
        """The member of that incarnation; None where it is dead or unknown."""
        return next((member for member in self.members if member.incarnation == incarnation), None)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; `from_json` reads it back."""
        return {
            "map": self.map.to_json() if self.map else None,
            "members": [asdict(member) for member in self.members],
            "config": self.config,
            "stamp": self.stamp,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PoolView:
        """Read what `to_json` gave. Raises KeyError, TypeError or ValueError where it is something else."""
        return cls(
            map=PoolMap.from_json(value["map"]) if value["map"] else None,
            members=tuple(Member(**member) for member in value["members"]),
            config=value["config"],
            stamp=value["stamp"],
        )
