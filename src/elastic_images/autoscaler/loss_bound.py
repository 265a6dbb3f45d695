"""How many nodes the autoscaler may give up at once because they are silent: one, or a quarter of the pool.

When many nodes are silent, the reason is mostly not theirs: a starved machine, a broken network. Taking all of them out
of the pool would make it worse.
"""

from __future__ import annotations

from collections.abc import Set

WINDOW_SECONDS = 10.0


class LossBound:
    """Admits slots to be given up, a few per window. Not safe to share between threads."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS) -> None:
        self._window_seconds = window_seconds
        self._admitted: dict[int, float] = {}

    def admit(self, slots: Set[int], size: int, now: float) -> frozenset[int]:
        """Those of `slots` that may be given up at `now`. A slot that was admitted stays so for the window at least.

        Args:
            slots: the slots to give up.
            size: how many nodes the pool has.
            now: seconds, always by the same clock.
        """
        recent = {slot for slot, since in self._admitted.items() if now - since < self._window_seconds}
        self._admitted = {slot: since for slot, since in self._admitted.items() if slot in recent | slots}
        for slot in sorted(slots - self._admitted.keys()):
            if len(recent) < max(1, size // 4):
                recent.add(slot)
                self._admitted[slot] = now
        return frozenset(slots & self._admitted.keys())
