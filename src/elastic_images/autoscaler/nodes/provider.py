"""The interface to whatever launches and terminates cache nodes."""

from __future__ import annotations

from typing import Protocol


class NodeProvider(Protocol):
    """Launches and terminates nodes, one in each slot, and proves their death.

    No method waits for a node. Not safe to share between threads.
    """

    @property
    def proves_death(self) -> bool:
        """Whether members of slots that `alive` leaves out are certainly dead; otherwise their leases must expire."""

    @property
    def start_seconds(self) -> float:
        """How long a node may take from its launch until it is registered and healthy."""

    @property
    def silence_seconds(self) -> float:
        """How long a node that was healthy may be without a live incarnation before it is killed."""

    def adopt(self) -> frozenset[int]:
        """Take over nodes launched by an earlier provider. Returns the slots known to be alive. Called first."""

    def launch(self, slot: int) -> None:
        """Start a node, unless one is alive in that slot. It registers by itself once it is up.

        Raises:
            Unavailable: it cannot be started.
        """

    def take_failures(self) -> dict[int, str]:
        """Slots whose launch failed after `launch` returned, and why, since the last call."""

    def terminate(self, slot: int, drain_seconds: float) -> None:
        """Tell the node to stop, and kill it after `drain_seconds` (0: at once). Does nothing if none is alive.

        A later call can only shorten the time. `alive` tells when it is gone.
        """

    def alive(self) -> frozenset[int]:
        """The slots that have a node, or lack proof that they have none. Called often.

        A slot that is left out has no node: whatever was there before the call serves nothing any more.

        Raises:
            Unavailable: nothing is known yet.
        """

    def close(self) -> None:
        """Release the nodes. They keep running, for a later `adopt`."""
