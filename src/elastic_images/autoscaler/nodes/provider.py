"""The seam: what launches and ends the processes that are cache nodes."""

from __future__ import annotations

from typing import Protocol


class NodeProvider(Protocol):
    """Launches and terminates nodes, one in each slot, and has proof of their death.

    No method waits for a node. Not safe to share between threads: one loop uses it.
    """

    @property
    def proves_death(self) -> bool:
        """Whether the members of a slot that `alive` leaves out are dead for certain; else their leases must end."""

    @property
    def start_seconds(self) -> float:
        """How long a node may take from its launch until it is registered and healthy."""

    @property
    def silence_seconds(self) -> float:
        """How long one that had been healthy may be without a live incarnation before it is ended."""

    def adopt(self) -> frozenset[int]:
        """Take over nodes that an earlier provider launched; gives the slots known to be alive. Called first."""

    def launch(self, slot: int) -> None:
        """Start a node; nothing where one is alive in that slot. It registers by itself when it is up.

        Raises:
            Unavailable: it cannot be started.
        """

    def take_failures(self) -> dict[int, str]:
        """Slots whose launch failed after `launch` had returned, and why, since this was last asked."""

    def terminate(self, slot: int, drain_seconds: float) -> None:
        """Ask the node to stop, and end it by force after `drain_seconds` (0: at once). Nothing where none is alive.

        A later call can only hasten it. `alive` tells when it is gone.
        """

    def alive(self) -> frozenset[int]:
        """The slots that have a node, or for which there is no proof that they have none. Called often.

        A slot that is left out has none: whatever node was there before the call keeps and answers nothing any more.

        Raises:
            Unavailable: nothing is known yet.
        """

    def close(self) -> None:
        """Let go of the nodes, which go on living, for an `adopt` to come."""
