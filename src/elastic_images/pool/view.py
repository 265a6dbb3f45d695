"""The pool at one moment: values that travel between processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict, cast

from elastic_images.core.pool_document import MapDocument
from elastic_images.core.pool_map import PoolMap

LIVE, FENCED, DEAD = "live", "fenced", "dead"

LEASE_SECONDS = 3.0
"""How long a member may answer from memory, counted from when it sent the poll that was answered."""
FENCE_AFTER_SECONDS = 1.0
"""How long a writer or the autoscaler waits for a member before fencing it."""
DEAD_AFTER_SECONDS = 3.5
"""How long after fencing, by the observer's clock, a member's last lease has certainly expired."""


def node_id(slot: int) -> str:
    """The member id of the node in `slot`."""
    return f"node-{slot}"


class MemberDocument(TypedDict):
    """A `Member` as JSON."""

    incarnation: str
    id: str
    kind: str
    address: str
    data_address: str
    state: str
    epoch: int
    registered_at: float


class ViewDocument(TypedDict):
    """A `PoolView` as JSON."""

    map: MapDocument | None
    members: list[MemberDocument]
    config: dict[str, Any]
    stamp: str


class PollAnswer(ViewDocument):
    """What a member gets when it registers or polls."""

    state: str
    """Its own: `live`, `fenced`, `dead` or `unknown`; `guest` for a poll without an incarnation."""


class PollRequest(TypedDict):
    """What a member sends to poll."""

    incarnation: str | None
    """None for a guest, which only learns the map."""
    epoch: int
    """The newest epoch that its cache obeys."""
    stamp: str
    """That of the view it knows; the answer waits for another one."""
    wait: float
    """How long, in seconds."""


class RegisterRequest(TypedDict):
    """What a member sends to register."""

    member: MemberDocument
    replaces: list[str]
    """Earlier incarnations of its id that are gone."""


class LeaveRequest(TypedDict):
    """What a member sends when it stops, after it has gone dark and dropped everything."""

    incarnation: str


@dataclass(frozen=True, slots=True)
class Member:
    """One incarnation of a node, or of a web process with a near cache."""

    incarnation: str
    """Random at each start, 32 hexadecimal digits."""
    id: str
    kind: str
    """`node` or `web`."""
    address: str
    """`host:port` of its control listener, which receives invalidations."""
    data_address: str
    """`host:port` where a node serves reads; empty for a web process."""
    state: str = LIVE
    epoch: int = 0
    """The newest epoch it has named: it has dropped everything that map takes from it."""
    registered_at: float = 0.0

    @property
    def slot(self) -> int | None:
        """The slot of a node; None for a web process."""
        return int(self.id.removeprefix("node-")) if self.kind == "node" else None

    def to_json(self) -> MemberDocument:
        """As JSON values."""
        return cast("MemberDocument", asdict(self))


@dataclass(frozen=True, slots=True)
class PoolView:
    """The map, the members (without dead ones) and the configuration, read in one transaction."""

    map: PoolMap | None = None
    members: tuple[Member, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    stamp: str = ""
    """Equal stamps mean that nothing has changed in between."""

    def incarnations(self, slot: int) -> tuple[Member, ...]:
        """All incarnations of the node in `slot` that are not dead, oldest first."""
        return tuple(member for member in self.members if member.slot == slot)

    def live_node(self, slot: int) -> Member | None:
        """The newest live incarnation in `slot`, which gets its reads."""
        live = [member for member in self.incarnations(slot) if member.state == LIVE]
        return live[-1] if live else None

    def near_caches(self) -> tuple[Member, ...]:
        """The web processes that keep near caches."""
        return tuple(member for member in self.members if member.kind == "web")

    def find(self, incarnation: str) -> Member | None:
        """The member of that incarnation; None if it is dead or unknown."""
        return next((member for member in self.members if member.incarnation == incarnation), None)

    def to_json(self) -> ViewDocument:
        """As JSON values, which `from_json` reads back."""
        return {
            "map": self.map.to_json() if self.map else None,
            "members": [member.to_json() for member in self.members],
            "config": self.config,
            "stamp": self.stamp,
        }

    @classmethod
    def from_json(cls, value: ViewDocument) -> PoolView:
        """Read the output of `to_json`. Raises KeyError, TypeError or ValueError if it is anything else."""
        return cls(
            map=PoolMap.from_json(value["map"]) if value["map"] else None,
            members=tuple(Member(**member) for member in value["members"]),
            config=value["config"],
            stamp=value["stamp"],
        )
