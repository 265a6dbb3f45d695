"""The EC2 calls as an interface: instances, operations, and what errors mean. Knows no library."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from elastic_images.aws.refusals import THROTTLED, refusal
from elastic_images.core.assignment import MAX_NODES
from elastic_images.core.errors import Unavailable

POOL_TAG = "elastic-images:pool"
SLOT_TAG = "elastic-images:slot"
LAUNCH_TAG = "elastic-images:launch"

GONE_STATES = frozenset({"terminated", "stopped"})
"""Nothing runs any more. `shutting-down` and `stopping` prove nothing: the node may respond until the end."""

_NO_CAPACITY = frozenset(
    {
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientReservedInstanceCapacity",
        "InsufficientCapacity",
        "InsufficientFreeAddressesInSubnet",
        "Unsupported",  # the zone does not have this type
    }
)
_LIMITS = frozenset({"InstanceLimitExceeded", "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded"})


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance with all our tags."""

    id: str
    pool: str
    slot: int | None
    """None if its tag is invalid."""
    launch: str
    state: str
    """EC2's word: `pending`, `running`, `shutting-down`, `terminated`, `stopping`, `stopped`."""
    launched_at: float = 0.0
    address: str | None = None
    subnet: str | None = None

    @property
    def gone(self) -> bool:
        """Whether it runs nothing any more."""
        return self.state in GONE_STATES


def slot_of(tag: str) -> int | None:
    """The slot that a tag names; None if it is invalid."""
    return int(tag) if tag.isascii() and tag.isdigit() and len(tag) == 1 and int(tag) < MAX_NODES else None


class Ec2Error(Exception):
    """A failed call: EC2's error code, or the name of the library's error. Contains no credentials."""

    def __init__(self, code: str, operation: str, *, unknown: bool = False, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.operation = operation
        self.unknown = unknown
        """No complete response came, so the outcome is unknown."""
        self.detail = detail
        """EC2's own message."""

    @property
    def no_capacity(self) -> bool:
        """Another subnet may have what this one lacks."""
        return self.code in _NO_CAPACITY

    @property
    def throttled(self) -> bool:
        """Rejected unread; retry more slowly."""
        return self.code in THROTTLED

    def explain(self) -> str:
        """A sentence for people: `EC2 ...`."""
        code = self.code
        if self.no_capacity:
            return f"EC2 has no capacity ({code})"
        if code in _LIMITS:
            return f"the account's limit is reached; ask AWS for a higher quota ({code})"
        refused = refusal(code, self.operation)
        if refused is not None:
            return f"EC2 {refused}"
        if self.unknown:
            return f"EC2 is not responding ({code})"
        return f"EC2 refuses {self.operation}: {self.detail or code} ({code})"

    def as_ours(self) -> Unavailable:
        """The error that the provider raises."""
        text = self.explain()
        return Unavailable(f"{text[0].upper()}{text[1:]}.")


class Ec2Service(Protocol):
    """The calls. Each takes seconds at most and retries nothing. Safe to share between threads.

    All raise Ec2Error.
    """

    def instances(self) -> Sequence[Instance]:
        """All instances of this pool that EC2 lists, including those terminated in the last hour."""

    def look_at(self, ids: Collection[str]) -> Sequence[Instance]:
        """These instances, whatever their tags are now; those unknown to EC2 are left out."""

    def run(self, slot: int, launch: str, subnet: str, token: str, user_data: str) -> Instance:
        """Launch an instance. Calls with the same token launch only one."""

    def terminate(self, ids: Collection[str], *, at_once: bool = False) -> None:
        """Terminate instances; `at_once`: without waiting for their operating systems."""

    def close(self) -> None:
        """Close the connections."""
