"""The seam: what launches and ends the processes that are cache nodes."""

from __future__ import annotations

from typing import Protocol


class NodeProvider(Protocol):
    """Launches and terminates nodes, one in each slot, and has proof of their death.

    No method waits for a node. Not safe to share between threads: one loop uses it.
    """

    def adopt(self) -> frozenset[int]:
        """Take over nodes that an earlier provider launched; gives the slots that are alive. Called first."""

    def launch(self, slot: int) -> None:
        """Start a node; nothing where one is alive in that slot. It registers by itself when it is up.

        Raises:
            Unavailable: it cannot be started.
        """

    def terminate(self, slot: int, drain_seconds: float) -> None:
        """Ask the node to stop, and end it by force after `drain_seconds` (0: at once). Nothing where none is alive.

        A later call can only hasten it. `alive` tells when it is gone.
        """

    def alive(self) -> frozenset[int]:
        """The slots that have a node, or for which there is no proof that they have none. Called often.

        A slot that is left out has none: whatever node was there before the call keeps and answers nothing any more.
        """

    def close(self) -> None:
        """Let go of the nodes, which go on living, for an `adopt` to come."""
